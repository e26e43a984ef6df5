/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adapter_conf.h - what was asked for: one adapter, as words or a file describe it.
 *
 * settings.h parses and prints its fields, conf.h the file, attach_words.h the
 * words of a command; the keeper acts on it. Plain data: copied by assignment.
 */
#ifndef EDGE_ADAPTER_CONF_H
#define EDGE_ADAPTER_CONF_H

#include <net/if.h>

#include <nbl/module.h>

#define ADAPTER_NAME_MAX	32	/* with its end */
#define ADAPTER_MAX_MODULES	16
#define ADAPTER_MAX_OPTIONS	8	/* of one module */
#define ADAPTER_MAX_RING	32768u	/* entries */
#define OPTION_KEY_MAX		32
#define OPTION_VALUE_MAX	512	/* a list of rules */

enum adapter_layout { LAYOUT_HOST, LAYOUT_PAIR };
enum xdp_choice { XDP_CHOICE_AUTO, XDP_CHOICE_NATIVE, XDP_CHOICE_GENERIC };
enum zerocopy_choice { ZEROCOPY_AUTO, ZEROCOPY_REQUIRE, ZEROCOPY_OFF };

struct module_option {
	char key[OPTION_KEY_MAX];
	char value[OPTION_VALUE_MAX];
};

struct module_conf {
	char name[NBL_MODULE_NAME_MAX];
	uint32_t n_options;
	struct module_option options[ADAPTER_MAX_OPTIONS];
};

/* What was asked for: by `attach` or by the configuration file. */
struct adapter_conf {
	char name[ADAPTER_NAME_MAX];
	char lower[IFNAMSIZ];
	char upper[IFNAMSIZ];		/* pair only */
	enum adapter_layout layout;
	bool fail_closed;
	enum xdp_choice xdp;
	enum zerocopy_choice zerocopy;
	uint64_t queues;		/* bit i = queue i; 0 = all */
	uint32_t hang_limit_ms;		/* 0 = never */
	uint32_t n_frames;		/* per queue; 0 = from the ring size */
	uint32_t ring_size;		/* entries of each RX and TX ring, a power of two */
	/* for clones, copies and what modules originate; 0 = none */
	uint32_t n_pool_frames;
	uint32_t n_modules;
	struct module_conf modules[ADAPTER_MAX_MODULES];	/* from the lower port upward */
};

/* The defaults; layout HOST and empty names. */
struct adapter_conf adapter_conf_default(void);

/*
 * Fills what follows from the rest (the name: the lower interface's) and checks
 * fields against each other. Returns 0, or -EINVAL with a sentence in 'error' (fills).
 */
int adapter_conf_complete(struct adapter_conf *conf, char *error, size_t error_size);

/* True if both ask for the same, modules in the same order with the same options included. */
bool adapter_conf_equal(const struct adapter_conf *a, const struct adapter_conf *b);

/* The same, the modules aside: those may be changed while the adapter runs. */
bool adapter_conf_equal_ports(const struct adapter_conf *a, const struct adapter_conf *b);

#endif
