// SPDX-License-Identifier: BSD-2-Clause
#include "port/wire.h"

#include <net/if.h>
#include <stdio.h>

#include "port/programs.h"
#include "port/tc.h"
#include "port/why.h"

static const struct {
	enum programs_tc program;
	const char *name;
} ends[NBL_N_SIDES] = {
	[NBL_LOWER] = { PROGRAMS_TC_WIRE_LOWER, "nbl_tc_wire_l" },
	[NBL_UPPER] = { PROGRAMS_TC_WIRE_UPPER, "nbl_tc_wire_u" },
};

static int attach_end(const struct programs *p, enum nbl_side side, uint32_t ifindex,
		      struct wire *w)
{
	struct tc_filter filter;
	bool made;
	int r = tc_put(ifindex, TC_INGRESS, programs_get_tc_fd(p, ends[side].program), &made,
		       &filter);

	w->ends[side].ifindex = ifindex;
	w->ends[side].clsact_made = made;
	w->ends[side].filter_handle = filter.handle;
	w->ends[side].filter_priority = filter.priority;
	w->ends[side].filter_prog_id = filter.prog_id;
	return r;
}

int wire_connect(const struct programs *p, const uint32_t ifindex[NBL_N_SIDES],
		 struct wire *ret_w, char *why, size_t why_size)
{
	char name[IFNAMSIZ];

	*ret_w = (struct wire){ 0 };
	for (int side = 0; side < NBL_N_SIDES; side++) {
		int r = attach_end(p, (enum nbl_side)side, ifindex[side], ret_w);

		if (r == 0)
			continue;
		if (!if_indextoname(ifindex[side], name))
			snprintf(name, sizeof(name), "port %d", side);
		return why_set(why, why_size, -r,
			       "%s: the pair cannot be joined (%s): %s. Try: tc qdisc show dev %s",
			       name, why_errno(-r),
			       why_reason(-r, "the kernel refused a tc program"), name);
	}
	return 0;
}

void wire_remove(const struct wire *w)
{
	for (int side = 0; side < NBL_N_SIDES; side++) {
		const struct tc_filter filter = {
			.handle = w->ends[side].filter_handle,
			.priority = w->ends[side].filter_priority,
			.prog_id = w->ends[side].filter_prog_id,
		};

		tc_take(w->ends[side].ifindex, TC_INGRESS, w->ends[side].clsact_made, &filter,
			ends[side].name);
	}
}
