/* SPDX-License-Identifier: BSD-2-Clause */
/* test_rules_flags.c - numbers that others compiled in. */
#include <nbl/flags.h>

#include "unit/unit.h"

static const struct { const char *name; uint32_t ours, ndis; } values[] = {
	{ "receive dispatch", NBL_RECEIVE_DISPATCH, 0x1 },
	{ "receive resources", NBL_RECEIVE_RESOURCES, 0x2 },
	{ "receive single ether type", NBL_RECEIVE_SINGLE_ETHER_TYPE, 0x100 },
	{ "receive single vlan", NBL_RECEIVE_SINGLE_VLAN, 0x200 },
	{ "receive perfect filtered", NBL_RECEIVE_PERFECT_FILTERED, 0x400 },
	{ "receive single queue", NBL_RECEIVE_SINGLE_QUEUE, 0x800 },
	{ "receive shared memory info", NBL_RECEIVE_SHARED_MEMORY_INFO_VALID, 0x1000 },
	{ "receive more nbls", NBL_RECEIVE_MORE_NBLS, 0x2000 },
	{ "receive destination group", NBL_RECEIVE_SWITCH_DESTINATION_GROUP, 0x4000 },
	{ "receive single source", NBL_RECEIVE_SWITCH_SINGLE_SOURCE, 0x8000 },
	{ "return dispatch", NBL_RETURN_DISPATCH, 0x1 },
	{ "return single queue", NBL_RETURN_SINGLE_QUEUE, 0x2 },
	{ "return single source", NBL_RETURN_SWITCH_SINGLE_SOURCE, 0x4 },
	{ "send dispatch", NBL_SEND_DISPATCH, 0x1 },
	{ "send check for loopback", NBL_SEND_CHECK_FOR_LOOPBACK, 0x2 },
	{ "send single queue", NBL_SEND_SINGLE_QUEUE, 0x4 },
	{ "send destination group", NBL_SEND_SWITCH_DESTINATION_GROUP, 0x10 },
	{ "send single source", NBL_SEND_SWITCH_SINGLE_SOURCE, 0x20 },
	{ "send complete dispatch", NBL_SEND_COMPLETE_DISPATCH, 0x1 },
	{ "send complete single queue", NBL_SEND_COMPLETE_SINGLE_QUEUE, 0x2 },
	{ "send complete single source", NBL_SEND_COMPLETE_SWITCH_SINGLE_SOURCE, 0x4 },
};

START_TEST(PT_09_flags_have_the_values_that_ndis_gives_them_in_each_direction)
{
	ck_assert_msg(values[_i].ours == values[_i].ndis, "%s is %#x", values[_i].name,
		      values[_i].ours);
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ PT_09_flags_have_the_values_that_ndis_gives_them_in_each_direction,
		  (int)N_ELEMENTS(values) },
	};

	return unit_run("rules_flags", tests, N_ELEMENTS(tests));
}
