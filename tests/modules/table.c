/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - in the place of modules.c in a worker for tests: the bundled modules, and those for
 * tests.
 *
 * It includes modules.c with nbl_module_find() under another name, and has one of its own that
 * looks among the test modules first.
 */
#define nbl_module_find find_bundled
#include "../../user/modules/modules.c"
#undef nbl_module_find

#include "modules/test_modules.h"

const struct nbl_module *nbl_module_find(const char *name);

const struct nbl_module *nbl_module_find(const char *name)
{
	for (int i = 0; i < N_WITNESSES; i++)
		if (!strcmp(witness_modules[i].name, name))
			return &witness_modules[i];
	return strcmp(name, hoard_module.name) ? find_bundled(name) : &hoard_module;
}
