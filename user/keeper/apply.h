/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apply.h - making what runs be what the configuration file says.
 */
#ifndef KEEPER_APPLY_H
#define KEEPER_APPLY_H

#include "edge/conf.h"
#include "keeper/adapter.h"

/*
 * Goes from 'was', the file last applied, to 'wanted' (borrows both): detaches
 * what is in the file no more, attaches what is new, detaches and attaches what
 * is changed, touches nothing else; so what a command attached stays. Failures
 * are logged and do not stop the rest. Returns how many adapters failed.
 */
unsigned int conf_apply(struct keeper *keeper, const struct conf *was, const struct conf *wanted);

#endif
