/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tc.h - BPF programs at an interface's ingress and egress, beside those of others.
 *
 * clsact is the place, a filter the attachment; both stay when their maker dies. So what
 * is to be done is noted first (tc_plan()), by the id of a program that is loaded already:
 * no filter but ours has it, and the kernel gives no id again. For leg.c and wire.c.
 */
#ifndef PORT_TC_H
#define PORT_TC_H

#include <nbl/contract.h>

enum tc_direction { TC_INGRESS, TC_EGRESS };

/*
 * A filter, and the clsact it needs, made or about to be: plain, so that it can be kept in a
 * file for a successor. ifindex 0: none.
 */
struct tc_note {
	uint32_t ifindex;
	uint32_t clsact_made;	/* 1: there was no clsact before */
	uint32_t prog_id;
};

/* Makes clsact if there is none; fills ret_made. */
NBL_MUST_CHECK int tc_prepare(uint32_t ifindex, bool *ret_made);

/*
 * Attaches a loaded program before all other filters, at a free handle and priority.
 * It stays when this process ends.
 */
NBL_MUST_CHECK int tc_attach(uint32_t ifindex, enum tc_direction direction, int prog_fd);

/*
 * Attaches a classifier at ingress whose matches the action mirred moves to the ingress of
 * another interface, past that one's generic XDP program. -ENOENT: the kernel has no mirred.
 */
NBL_MUST_CHECK int tc_attach_mirred(uint32_t ifindex, int prog_fd, uint32_t to_ifindex);

/*
 * Removes the filter that has the program of that id and name. -ENOENT: there is no such filter.
 */
int tc_detach(uint32_t ifindex, enum tc_direction direction, uint32_t prog_id,
	      const char *prog_name);

/* Changes nothing; fills ret_n with what tc_put() of a loaded program will do there. */
NBL_MUST_CHECK int tc_plan(uint32_t ifindex, int prog_fd, struct tc_note *ret_n);

/*
 * tc_prepare() and tc_attach() in one, as noted in 'n': who made clsact is set right there, should
 * someone else have been quicker.
 */
NBL_MUST_CHECK int tc_put(struct tc_note *n, enum tc_direction direction, int prog_fd);

/* Undoes tc_put(), done in part or not at all, as far as it is there and nobody else's. */
void tc_take(const struct tc_note *n, enum tc_direction direction, const char *prog_name);

/* Removes clsact unless it has filters. -EBUSY: it has. */
int tc_unprepare(uint32_t ifindex);

#endif
