/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * programs_object.h - what programs.c and programs_attach.c share of struct programs.
 */
#ifndef PORT_PROGRAMS_OBJECT_H
#define PORT_PROGRAMS_OBJECT_H

#include "port/programs.h"

struct nbl_xdp;

struct programs {
	struct nbl_xdp *object;		/* the skeleton */
	struct programs_conf conf;
	struct {
		int fd;			/* bpf_link; -1 = not attached */
		enum programs_xdp how;
		bool tags;
	} links[NBL_N_SIDES];
};

/* A side's XDP program, the one that reads tags or the plain one; -1 if it is not loaded. */
int programs_xdp_fd(const struct programs *p, enum nbl_side side, bool tags);

#endif
