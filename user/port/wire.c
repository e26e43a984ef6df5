// SPDX-License-Identifier: BSD-2-Clause
#include "port/wire.h"

#include <net/if.h>
#include <stdio.h>

#include "port/programs.h"
#include "port/why.h"

static const struct {
	enum programs_tc program;
	const char *name;
} ends[NBL_N_SIDES] = {
	[NBL_LOWER] = { PROGRAMS_TC_WIRE_LOWER, "nbl_tc_wire_l" },
	[NBL_UPPER] = { PROGRAMS_TC_WIRE_UPPER, "nbl_tc_wire_u" },
};

static int explain(int r, uint32_t ifindex, char *why, size_t why_size)
{
	char name[IFNAMSIZ];

	if (!if_indextoname(ifindex, name))
		snprintf(name, sizeof(name), "interface %u", ifindex);
	return why_set(why, why_size, -r,
		       "%s: the pair cannot be joined (%s): %s. Try: tc qdisc show dev %s", name,
		       why_errno(-r), why_reason(-r, "the kernel refused a tc program"), name);
}

int wire_plan(const struct programs *p, const uint32_t ifindex[NBL_N_SIDES], struct wire *ret_w,
	      char *why, size_t why_size)
{
	struct wire w;

	for (int side = 0; side < NBL_N_SIDES; side++) {
		int r = tc_plan(ifindex[side], programs_get_tc_fd(p, ends[side].program),
				&w.ends[side]);

		if (r < 0)
			return explain(r, ifindex[side], why, why_size);
	}
	*ret_w = w;
	return 0;
}

int wire_connect(const struct programs *p, struct wire *w, char *why, size_t why_size)
{
	for (int side = 0; side < NBL_N_SIDES; side++) {
		int r = tc_put(&w->ends[side], TC_INGRESS,
			       programs_get_tc_fd(p, ends[side].program));

		if (r < 0)
			return explain(r, w->ends[side].ifindex, why, why_size);
	}
	return 0;
}

void wire_remove(const struct wire *w)
{
	for (int side = 0; side < NBL_N_SIDES; side++)
		tc_take(&w->ends[side], TC_INGRESS, ends[side].name);
}
