/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "edge/conf.h"
#include "edge/control.h"

static const char help[] =
	"Usage: nbld [-c FILE] [-S SOCKET] [--check] [--version] [--help]\n"
	"\n"
	"The packet service: puts adapters on interfaces and runs their modules.\n"
	"Runs in the foreground; systemd starts it as nbld.service. See nblctl(8).\n"
	"\n"
	"  -c, --config FILE    configuration (" CONF_PATH "; may be absent)\n"
	"  -S, --socket SOCKET  control socket (" CONTROL_PATH ")\n"
	"      --check          read the configuration, tell what is wrong, change nothing\n"
	"      --version        print the version\n"
	"  -h, --help           print this\n"
	"\n"
	"Exit status: 0 stopped as asked; 1 failed; 2 usage; 77 rights are missing;\n"
	"78 the configuration is wrong.\n"
	"Files: " CONF_PATH ", " CONTROL_PATH ". Manual: nbld(8), nbld.conf(5).\n";

int options_parse(int argc, char **argv, struct options *o)
{
	enum { OPT_CHECK = 256, OPT_VERSION };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "socket", required_argument, NULL, 'S' },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:S:h", longs, NULL)) >= 0) {
		switch (option) {
		case 'c':
			o->conf_path = optarg;
			o->conf_given = true;
			break;
		case 'S':
			o->socket_path = optarg;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_VERSION:
			puts("nbld " NBL_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("Try: nbld --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "nbld: unknown word \"%s\". Try: nbld --help\n", argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}
