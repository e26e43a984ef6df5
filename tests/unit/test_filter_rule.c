// SPDX-License-Identifier: BSD-2-Clause
/* test_filter_rule.c - filters as text: what it means, and every way to be wrong. */
#include "filter/rule.h"
#include "unit.h"

static struct filter_rule good(const char *text)
{
	struct filter_rule r;
	char error[256] = "";

	ck_assert_msg(!filter_rule_parse(text, &r, error, sizeof(error)), "%s: %s", text, error);
	return r;
}

START_TEST(CL_01_every_layer_of_the_stack_has_a_name_in_rules)
{
	for (int i = 0; i < NBL_N_LAYERS; i++) {
		char text[64], error[256];
		struct filter_rule r;

		snprintf(text, sizeof(text), "%s block", wfp_layers[i].name);
		if (wfp_layers[i].direction == NBL_DIRECTION_FORWARD) {
			ck_assert_int_eq(filter_rule_parse(text, &r, error, sizeof(error)),
					 -EINVAL);
			continue;
		}
		ck_assert_int_eq(good(text).layer, i);
	}
}
END_TEST

START_TEST(CL_06_a_rule_without_fields_matches_all_and_has_no_weight)
{
	struct filter_rule r = good("  outbound-mac\tblock ");

	ck_assert_int_eq(r.layer, NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET);
	ck_assert_int_eq(r.action, WFP_ACTION_BLOCK);
	ck_assert_uint_eq(r.n_conditions + r.weight + r.sublayer + r.flags, 0);
	ck_assert_str_eq(r.callout, "");
}
END_TEST

START_TEST(CL_06_action_weight_sublayer_and_hardness_are_what_the_rule_says)
{
	struct filter_rule r =
		good("inbound-ip4 permit hard weight=18446744073709551615 sublayer=65535");

	ck_assert_int_eq(r.action, WFP_ACTION_PERMIT);
	ck_assert_uint_eq(r.weight, UINT64_MAX);
	ck_assert_uint_eq(r.sublayer, 65535);
	ck_assert_uint_eq(r.flags, NBL_WFP_CLEAR_ACTION_RIGHT);
	r = good("inbound-ip4 callout:inspect-oob");
	ck_assert_int_eq(r.action, WFP_ACTION_CALLOUT_UNKNOWN);
	ck_assert_str_eq(r.callout, "inspect-oob");
	r = good("inbound-ip4 inspect:a");
	ck_assert_int_eq(r.action, WFP_ACTION_CALLOUT_INSPECTION);
	ck_assert_str_eq(r.callout, "a");
}
END_TEST

static const struct {
	const char *text;
	struct nbl_wfp_condition is;
} values[] = {
	{ "ether-type=0x88cc", { NBL_FIELD_ETHER_TYPE, .low = 0x88cc } },
	{ "ether-type=arp", { NBL_FIELD_ETHER_TYPE, .low = 0x0806 } },
	{ "ether-type=ip4", { NBL_FIELD_ETHER_TYPE, .low = 0x0800 } },
	{ "ether-type=ip6", { NBL_FIELD_ETHER_TYPE, .low = 0x86dd } },
	{ "ether-type=lldp", { NBL_FIELD_ETHER_TYPE, .low = 0x88cc } },
	{ "vlan=4095", { NBL_FIELD_VLAN_ID, .low = 4095 } },
	{ "ip-version=6", { NBL_FIELD_IP_VERSION, .low = 6 } },
	{ "protocol=udp", { NBL_FIELD_IP_PROTOCOL, .low = 17 } },
	{ "protocol=tcp", { NBL_FIELD_IP_PROTOCOL, .low = 6 } },
	{ "protocol=icmp", { NBL_FIELD_IP_PROTOCOL, .low = 1 } },
	{ "protocol=icmp6", { NBL_FIELD_IP_PROTOCOL, .low = 58 } },
	{ "protocol=sctp", { NBL_FIELD_IP_PROTOCOL, .low = 132 } },
	{ "protocol=udplite", { NBL_FIELD_IP_PROTOCOL, .low = 136 } },
	{ "protocol=255", { NBL_FIELD_IP_PROTOCOL, .low = 255 } },
	{ "fragment=whole", { NBL_FIELD_IP_FRAGMENT, .low = 0 } },
	{ "fragment=first", { NBL_FIELD_IP_FRAGMENT, .low = 1 } },
	{ "fragment=later", { NBL_FIELD_IP_FRAGMENT, .low = 2 } },
	{ "sport=1-1023", { NBL_FIELD_PORT_SOURCE, WFP_MATCH_RANGE, .low = 1, .high = 1023 } },
	{ "dport=65535", { NBL_FIELD_PORT_DESTINATION, .low = 65535 } },
	{ "local-port=0", { NBL_FIELD_PORT_LOCAL, .low = 0 } },
	{ "remote-port=9", { NBL_FIELD_PORT_REMOTE, .low = 9 } },
	{ "icmp-type=8", { NBL_FIELD_ICMP_TYPE, .low = 8 } },
	{ "icmp-code=0x1f", { NBL_FIELD_ICMP_CODE, .low = 31 } },
	{ "tcp-flags:all=0x12", { NBL_FIELD_TCP_FLAGS, WFP_MATCH_FLAGS_ALL_SET, .low = 0x12 } },
	{ "tcp-flags:any=0x02", { NBL_FIELD_TCP_FLAGS, WFP_MATCH_FLAGS_ANY_SET, .low = 2 } },
	{ "tcp-flags:none=0x10", { NBL_FIELD_TCP_FLAGS, WFP_MATCH_FLAGS_NONE_SET, .low = 16 } },
	{ "direction=in", { NBL_FIELD_DIRECTION, .low = 0 } },
	{ "direction=out", { NBL_FIELD_DIRECTION, .low = 1 } },
	{ "queue=3", { NBL_FIELD_QUEUE, .low = 3 } },
	{ "port=0", { NBL_FIELD_PORT, .low = 0 } },
	{ "mac-src=02:00:00:00:00:ff", { NBL_FIELD_MAC_SOURCE, .low = 0x0200000000ff } },
	{ "mac-dst=ff:ff:ff:ff:ff:ff", { NBL_FIELD_MAC_DESTINATION, .low = 0xffffffffffff } },
	{ "mac-local=2:0:0:0:0:1", { NBL_FIELD_MAC_LOCAL, .low = 0x020000000001 } },
	{ "mac-remote=02:00:00:00:00:01", { NBL_FIELD_MAC_REMOTE, .low = 0x020000000001 } },
	{ "src=10.1.2.3", { NBL_FIELD_IP_SOURCE, 0, 4, .address = { 10, 1, 2, 3 } } },
	{ "dst=10.0.0.0/8",
	  { NBL_FIELD_IP_DESTINATION, WFP_MATCH_PREFIX, 4, 8, .address = { 10 } } },
	{ "local=fd00::1", { NBL_FIELD_IP_LOCAL, 0, 6, .address = { 0xfd, [15] = 1 } } },
	{ "remote=fd00::/128",
	  { NBL_FIELD_IP_REMOTE, WFP_MATCH_PREFIX, 6, 128, .address = { 0xfd } } },
};

START_TEST(CL_06_every_field_takes_its_values)
{
	struct filter_rule r;
	char text[128];

	snprintf(text, sizeof(text), "inbound-mac %s block", values[_i].text);
	r = good(text);
	ck_assert_uint_eq(r.n_conditions, 1);
	ck_assert_mem_eq(&r.conditions[0], &values[_i].is, sizeof(values[_i].is));
}
END_TEST

START_TEST(CL_06_several_values_are_alternatives_in_one_rule)
{
	struct filter_rule r =
		good("inbound-ip4 dport=53,100-200 src=10.0.0.0/8,10.1.1.1 dport=9 block");

	ck_assert_uint_eq(r.n_conditions, 5);
	ck_assert_int_eq(r.conditions[1].match, WFP_MATCH_RANGE);
	ck_assert_uint_eq(r.conditions[1].low, 100);
	ck_assert_uint_eq(r.conditions[1].high, 200);
	ck_assert_int_eq(r.conditions[2].match, WFP_MATCH_PREFIX);
	ck_assert_int_eq(r.conditions[3].match, WFP_MATCH_EQUAL);
	ck_assert_uint_eq(r.conditions[4].low, 9);
}
END_TEST

static const struct {
	const char *text, *says;
} wrong[] = {
	{ "", "it is empty" },
	{ "  \t ", "it is empty" },
	{ "inbound", "'inbound' is not a layer" },
	{ "block", "'block' is not a layer" },
	{ "stream4 block", "'stream4' is not a layer" },
	{ "forward4 block", "'forward4': an adapter routes nothing; what crosses a pair is inbound one "
			   "way, outbound the other. Try: inbound-ip4, outbound-ip4" },
	{ "forward6 block", "Try: inbound-ip6, outbound-ip6" },
	{ "inbound-mac", "'inbound-mac' has no action" },
	{ "inbound-mac ether-type=arp", "has no action" },
	{ "inbound-mac drop", "'drop' is neither FIELD=VALUE nor an action" },
	{ "inbound-mac colour=red block", "'colour' is not a field" },
	{ "inbound-mac interface=3 block", "'interface' is not a field" },
	{ "inbound-mac =3 block", "'' is not a field" },
	{ "inbound-mac sportx=3 block", "'sportx' is not a field" },
	{ "inbound-mac spor=3 block", "'spor' is not a field" },
	{ "inbound-mac tcp-flags:some=3 block", "'tcp-flags:some': only :any, :all and :none" },
	{ "inbound-mac dport= block", "'dport=' has no value" },
	{ "inbound-mac dport=,, block", "'dport=' has no value" },
	{ "inbound-mac dport=65536 block", "'65536' is not a value of dport: it takes a number" },
	{ "inbound-mac dport=-1 block", "'-1' is not a value of dport" },
	{ "inbound-mac dport=9-8 block", "'9-8' is not a value of dport" },
	{ "inbound-mac dport=8- block", "'8-' is not a value of dport" },
	{ "inbound-mac dport=0x block", "'0x' is not a value of dport" },
	{ "inbound-mac dport=1x block", "'1x' is not a value of dport" },
	{ "inbound-mac dport=99999999999999999999 block", "is not a value of dport" },
	{ "inbound-mac dport:any=1-2 block", "'1-2' is not a value of dport" },
	{ "inbound-mac vlan=4096 block", "'4096' is not a value of vlan" },
	{ "inbound-mac protocol=quic block",
	  "'quic' is not a value of protocol: it takes a number, LOW-HIGH or a name" },
	{ "inbound-mac mac-src=1:2:3 block",
	  "'1:2:3' is not a value of mac-src: it takes an address like" },
	{ "inbound-mac mac-src=1:2:3:4:5:6:7 block", "is not a value of mac-src" },
	{ "inbound-mac mac-src=+1:2:3:4:5:6 block", "is not a value of mac-src" },
	{ "inbound-mac mac-src:any=02:00:00:00:00:01 block", "is not a value of mac-src" },
	{ "inbound-mac src=10.0.0 block",
	  "'10.0.0' is not a value of src: it takes an address, or ADDRESS/BITS" },
	{ "inbound-mac src=10.0.0.0/33 block", "'10.0.0.0/33' is not a value of src" },
	{ "inbound-mac src=10.0.0.0/ block", "is not a value of src" },
	{ "inbound-mac src=fd00::/129 block", "is not a value of src" },
	{ "inbound-mac src:all=10.0.0.1 block", "is not a value of src" },
	{ "inbound-mac src=0123456789012345678901234567890123456789012345678901234567890123 block",
	  "is not a value of src" },
	{ "inbound-ip4 src=fd00::1 block",
	  "'fd00::1' is an address of IPv6, layer inbound-ip4 shows IPv4" },
	{ "outbound-ip6 dst=10.0.0.0/8 block",
	  "'10.0.0.0/8' is an address of IPv4, layer outbound-ip6 shows IPv6" },
	{ "inbound-mac callout: ", "'callout:' names no callout" },
	{ "inbound-mac inspect:01234567890123456789012345678901", "names no callout" },
	{ "inbound-mac block permit", "'permit' may not follow the action" },
	{ "inbound-mac block dport=3", "'dport=3' may not follow the action" },
	{ "inbound-mac block weight=", "'weight=' takes a number from 0" },
	{ "inbound-mac block weight=-1", "'weight=-1' takes a number" },
	{ "inbound-mac block weight=18446744073709551616", "takes a number from 0" },
	{ "inbound-mac block sublayer=65536", "'sublayer=65536' takes a number from 0 to 65535" },
	{ "inbound-mac block sublayer=1x", "'sublayer=1x' takes a number" },
};

START_TEST(CL_06_what_is_wrong_with_a_rule_is_said_by_the_word)
{
	struct filter_rule r = { .weight = 77 };
	char error[256] = "";

	ck_assert_int_eq(filter_rule_parse(wrong[_i].text, &r, error, sizeof(error)), -EINVAL);
	ck_assert_msg(strstr(error, wrong[_i].says), "%s", error);
	ck_assert_uint_eq(r.weight, 77);
}
END_TEST

START_TEST(CL_06_too_much_of_anything_is_refused)
{
	char text[1024] = "inbound-mac dport=0", error[256] = "";
	struct filter_rule r;

	for (int i = 1; i < WFP_MAX_CONDITIONS; i++)
		sprintf(text + strlen(text), ",%d", i);
	strcat(text, " block");
	ck_assert_uint_eq(good(text).n_conditions, WFP_MAX_CONDITIONS);
	sprintf(strstr(text, " block"), ",99 block");
	ck_assert_int_eq(filter_rule_parse(text, &r, error, sizeof(error)), -EINVAL);
	ck_assert_str_eq(error, "'99': more than 32 conditions");
	memset(text, 'x', sizeof(text) - 1);
	text[512] = '\0';
	ck_assert_int_eq(filter_rule_parse(text, &r, error, sizeof(error)), -EINVAL);
	ck_assert_msg(strstr(error, "longer than 511 bytes"), "%s", error);
	/* a short buffer for the error is no harm */
	ck_assert_int_eq(filter_rule_parse("x", &r, error, 8), -EINVAL);
	ck_assert_str_eq(error, "'x' is ");
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ CL_01_every_layer_of_the_stack_has_a_name_in_rules, 1 },
		{ CL_06_a_rule_without_fields_matches_all_and_has_no_weight, 1 },
		{ CL_06_action_weight_sublayer_and_hardness_are_what_the_rule_says, 1 },
		{ CL_06_every_field_takes_its_values, N_ELEMENTS(values) },
		{ CL_06_several_values_are_alternatives_in_one_rule, 1 },
		{ CL_06_what_is_wrong_with_a_rule_is_said_by_the_word, N_ELEMENTS(wrong) },
		{ CL_06_too_much_of_anything_is_refused, 1 },
	};

	return unit_run("filter_rule", tests, N_ELEMENTS(tests));
}
