/* SPDX-License-Identifier: BSD-2-Clause */
/* option.h - reading the options modules and callouts are given. */
#ifndef MODULES_OPTION_H
#define MODULES_OPTION_H

#include <nbl/module.h>

/*
 * Reads the decimal number of 'o' (borrows; fills ret). -EINVAL if it is none from 'least' to
 * 'most': 'error' says so, in the name of 'whose' option it is.
 */
NBL_MUST_CHECK int option_number(const char *whose, const struct nbl_option *o,
				 unsigned long least, unsigned long most, unsigned long *ret,
				 char *error, size_t error_size);

#endif
