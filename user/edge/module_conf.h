/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module_conf.h - building a module's part of an adapter's configuration, checked.
 *
 * Which options a module knows, the module itself says when it is attached; here
 * only their form and number is judged.
 */
#ifndef EDGE_MODULE_CONF_H
#define EDGE_MODULE_CONF_H

#include "edge/adapter_conf.h"

/*
 * Names an empty module configuration (fills). 0, or -EINVAL with a sentence in
 * 'error' (fills).
 */
int module_conf_init(struct module_conf *m, const char *name, char *error, size_t error_size);

/* Adds an option. 0, or -EINVAL with a sentence in 'error' (fills); 'm' unchanged then. */
int module_conf_add_option(struct module_conf *m, const char *key, const char *value, char *error,
			   size_t error_size);

/* Adds a module (borrows) on top. 0, or -EINVAL with a sentence in 'error' (fills). */
int adapter_conf_add_module(struct adapter_conf *conf, const struct module_conf *m, char *error,
			    size_t error_size);

#endif
