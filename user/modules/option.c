// SPDX-License-Identifier: BSD-2-Clause
/* option.c - reading the options modules and callouts are given. */
#include "modules/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int option_number(const char *whose, const struct nbl_option *o, unsigned long least,
		  unsigned long most, unsigned long *ret, char *error, size_t error_size)
{
	char *end;
	unsigned long v = strtoul(o->value, &end, 10);

	if (*o->value < '0' || *o->value > '9' || *end || v < least || v > most) {
		snprintf(error, error_size, "%s: %s must be a number from %lu to %lu, not '%s'",
			 whose, o->key, least, most, o->value);
		return -EINVAL;
	}
	*ret = v;
	return 0;
}
