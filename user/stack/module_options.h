/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module_options.h - what is asked of a module before it is attached: its
 * handlers, and the engine's own options.
 */
#ifndef STACK_MODULE_OPTIONS_H
#define STACK_MODULE_OPTIONS_H

#include <nbl/module.h>

/* How much a module may hold, and how long (HP-01). 0 = no limit, but for max_share. */
struct nbl_module_limits {
	uint32_t max_held;		/* packets */
	uint32_t max_share;		/* percent of the adapter's receive frames, 1..100 */
	uint32_t soft_age_ms, hard_age_ms;
};

/* What the engine takes of a module's options. */
struct nbl_module_settings {
	bool mandatory;
	uint32_t bypass;		/* enum nbl_module_paths */
	struct nbl_module_limits limits;
};

#define NBL_MODULE_SETTINGS_DEFAULT \
	((struct nbl_module_settings){ .limits = { .max_share = 25, .soft_age_ms = 1000 } })

/*
 * Whether 'm' (borrows) has the handlers that its flags and its other handlers need. 0;
 * -EINVAL with a sentence in 'error'. Rules: FS-12, TX-16, CN-03.
 */
NBL_MUST_CHECK int nbl_module_check(const struct nbl_module *m, char *error, size_t error_size);

/*
 * Takes the engine's options out of 'options' (borrows): they go to 'settings', the others to
 * ret_rest (fills; room for n_options), n_rest of them. 0; -EINVAL with a sentence in 'error'
 * for a value that is none.
 */
NBL_MUST_CHECK int nbl_module_settings_take(struct nbl_module_settings *settings, const char *name,
					    const struct nbl_option *options, uint32_t n_options,
					    struct nbl_option *ret_rest, uint32_t *ret_n_rest,
					    char *error, size_t error_size);

#endif
