/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf.h - the configuration file: one parser and one printer.
 *
 * Reading has no side effects: nothing is opened but the file, no interface is
 * looked at. What conf_print() writes, conf_read() reads as the same. Not
 * thread-safe (libconfuse's scanner is one per process).
 */
#ifndef EDGE_CONF_H
#define EDGE_CONF_H

#include <stdio.h>

#include "edge/adapter_conf.h"

#define CONF_PATH "/etc/nbld/nbld.conf"

struct conf {
	struct adapter_conf *adapters;	/* owned; in the file's order */
	size_t n_adapters;
};

/*
 * Reads 'path' (fills ret: owned, conf_done()). Returns 0. -ENOENT if there is no
 * such file; -EPERM if others may write it; -EINVAL if it is wrong; other negative
 * errno. Then reterr_text (fills: owned, free(); NULL only for want of memory) has
 * everything that was found, as lines "FILE:LINE: what is wrong".
 */
NBL_MUST_CHECK int conf_read(const char *path, struct conf *ret, char **reterr_text);

/* Frees what conf_read() filled; a zeroed or freed one is fine. */
void conf_done(struct conf *conf);

/* Writes 'conf' (borrows) as a file. 0, or -EIO if 'out' took not all of it. */
int conf_print(const struct conf *conf, FILE *out);

/* The adapter called 'name'. Returns borrowed, until conf_done(); or NULL. */
const struct adapter_conf *conf_find(const struct conf *conf, const char *name);

#endif
