/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chaos_table.c - in the place of modules.c in a worker for tests: the bundled modules, and chaos.
 */
#define nbl_module_find find_bundled
#include "../../user/modules/modules.c"
#undef nbl_module_find

#include "sim/chaos_module.h"

const struct nbl_module *nbl_module_find(const char *name);

const struct nbl_module *nbl_module_find(const char *name)
{
	for (int i = 0; i < CHAOS_N_MODULES; i++)
		if (!strcmp(chaos_modules[i].name, name))
			return &chaos_modules[i];
	return find_bundled(name);
}
