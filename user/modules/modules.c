/* SPDX-License-Identifier: BSD-2-Clause */
#include "modules/modules.h"

#include <string.h>

const struct nbl_module *const nbl_modules[] = {
	&nbl_module_count,
	&nbl_module_delay,
	&nbl_module_reasm,
	&nbl_module_reflect,
	NULL,
};

const struct nbl_module *nbl_module_find(const char *name)
{
	for (const struct nbl_module *const *m = nbl_modules; *m; m++)
		if (!strcmp((*m)->name, name))
			return *m;
	return NULL;
}
