/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - nbld's command line, and the statuses it exits with.
 */
#ifndef KEEPER_OPTIONS_H
#define KEEPER_OPTIONS_H

#include <stdbool.h>

#define EXIT_USAGE	2
#define EXIT_NO_RIGHTS	77	/* systemd is told not to restart on these two */
#define EXIT_BAD_CONF	78

struct options {
	const char *conf_path;
	bool conf_given;	/* then it must exist */
	const char *socket_path;
	bool check;
};

/*
 * Parses (fills 'o', with words borrowed from argv). Returns -1 to go on, or the
 * status to exit with.
 */
int options_parse(int argc, char **argv, struct options *o);

#endif
