/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap_conf.h - what was asked for with module `tap`: a network device that shows, above the
 * stack, what the adapter receives of some frame types.
 *
 * It looks like a module in commands and files, and is a binding (stack/binding.h): it
 * stands above all modules.
 */
#ifndef EDGE_TAP_CONF_H
#define EDGE_TAP_CONF_H

#include "edge/adapter_conf.h"
#include "stack/binding.h"

#define TAP_MODULE "tap"

struct tap_conf {
	char ifname[IFNAMSIZ];
	uint16_t types[NBL_MAX_BINDING_TYPES];	/* in the processor's byte order */
	uint32_t n_types;			/* 0 = everything */
};

/* True if 'm' (borrows) is a tap, not a module of the stack. */
bool tap_conf_is_tap(const struct module_conf *m);

/*
 * Reads a tap's options (borrows 'm'; fills ret). 0, or -EINVAL with a sentence in 'error'
 * (fills) that names the option.
 */
NBL_MUST_CHECK int tap_conf_parse(const struct module_conf *m, struct tap_conf *ret, char *error,
				  size_t error_size);

#endif
