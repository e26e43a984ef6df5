/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tc.h - BPF programs at an interface's ingress and egress, beside those of others.
 *
 * clsact is the place, a filter the attachment. A filter is known as ours by its
 * handle, priority, program id and program name together: all of them change
 * hands when someone else makes a filter in its stead. For leg.c.
 */
#ifndef PORT_TC_H
#define PORT_TC_H

#include <nbl/contract.h>

enum tc_direction { TC_INGRESS, TC_EGRESS };

/* Zero = none. */
struct tc_filter {
	uint32_t handle;
	uint32_t priority;
	uint32_t prog_id;
};

/* Makes clsact if there is none; fills ret_made. */
NBL_MUST_CHECK int tc_prepare(uint32_t ifindex, bool *ret_made);

/*
 * Attaches a loaded program before all other filters, at a free handle and priority; fills ret_f.
 * It stays when this process ends.
 */
NBL_MUST_CHECK int tc_attach(uint32_t ifindex, enum tc_direction direction, int prog_fd,
			     struct tc_filter *ret_f);

/*
 * Attaches a classifier at ingress whose matches the action mirred moves to the ingress of
 * another interface, past that one's generic XDP program. -ENOENT: the kernel has no mirred.
 */
NBL_MUST_CHECK int tc_attach_mirred(uint32_t ifindex, int prog_fd, uint32_t to_ifindex);

/* Removes a filter whose program is called 'prog_name'. -ENOENT: there is no such filter. */
int tc_detach(uint32_t ifindex, enum tc_direction direction, const struct tc_filter *f,
	      const char *prog_name);

/* tc_prepare() and tc_attach() in one; fills what was done, as far as it was, also on error. */
NBL_MUST_CHECK int tc_put(uint32_t ifindex, enum tc_direction direction, int prog_fd,
			  bool *ret_made, struct tc_filter *ret_f);

/* Undoes tc_put() as far as it is still there and nobody else's. */
void tc_take(uint32_t ifindex, enum tc_direction direction, bool made, const struct tc_filter *f,
	     const char *prog_name);

/* Removes clsact unless it has filters. -EBUSY: it has. */
int tc_unprepare(uint32_t ifindex);

#endif
