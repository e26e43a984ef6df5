/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf_file.h - opening a configuration file that may be trusted.
 */
#ifndef EDGE_CONF_FILE_H
#define EDGE_CONF_FILE_H

#include <stdio.h>

#include <nbl/contract.h>

struct conf_file {
	char *bytes;	/* owned */
	FILE *text;	/* owned: reads 'bytes' */
};

/*
 * Opens what 'path' holds now, with 'mark' behind it on a line of its own (fills
 * ret: owned, conf_file_close()). 0; -ENOENT; -EPERM if somebody else than root or
 * this process' user owns it or others may write it; -EINVAL if it is no regular
 * file nor /dev/null; other negative errno. Then 'error' has a sentence without the path (fills).
 */
NBL_MUST_CHECK int conf_file_open(const char *path, const char *mark, struct conf_file *ret,
				  char *error, size_t error_size);

/* Closes and frees what conf_file_open() filled in. */
void conf_file_close(struct conf_file *file);

#endif
