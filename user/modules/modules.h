/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * modules.h - the bundled modules. A new one is a file here and a line in each list.
 */
#ifndef MODULES_MODULES_H
#define MODULES_MODULES_H

#include <nbl/module.h>

extern const struct nbl_module nbl_module_count;
extern const struct nbl_module nbl_module_delay;
extern const struct nbl_module nbl_module_reasm;
extern const struct nbl_module nbl_module_reflect;

/* All of them, ended by NULL. */
extern const struct nbl_module *const nbl_modules[];

/* The module named 'name', or NULL. Returns borrowed, for ever. */
const struct nbl_module *nbl_module_find(const char *name);

#endif
