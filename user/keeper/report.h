/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - what the keeper knows, as JSON: the objects `nblctl -j` prints.
 *
 * Keys are stable, numbers are numbers. All return owned, json_decref(); NULL for
 * want of memory.
 */
#ifndef KEEPER_REPORT_H
#define KEEPER_REPORT_H

#include <jansson.h>

#include "keeper/adapter.h"

/* {"schema":1,"version":...}: what every answer begins with. */
json_t *report_new(void);

/* One element of "adapters" of `show`, `drops` (each borrows). */
json_t *report_show(const struct adapter_snapshot *s);
json_t *report_drops(const struct adapter_snapshot *s);

/* The module stack, from the lower port upward (borrows). */
json_t *report_modules(const struct adapter_snapshot *s);

/* One element of "adapters" of `audit` (borrows). */
json_t *report_audit(const char *name, const struct audit_result *result);

/* "running", "bypass" ... Returns borrowed, for ever. */
const char *report_state_name(enum adapter_state state);

#endif
