/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tap_conf.c - the options of a tap. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edge/module_conf.h"
#include "edge/tap_conf.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static const char seventeen[] = "0x0601,0x0602,0x0603,0x0604,0x0605,0x0606,0x0607,0x0608,0x0609,"
				"0x060a,0x060b,0x060c,0x060d,0x060e,0x060f,0x0610,0x0611";

static const struct {
	const char *to, *types, *other;
	const char *sentence;		/* NULL: it is fine */
	uint32_t n_types;
	uint16_t first;
} cases[] = {
	{ "mon0", NULL, NULL, NULL, 0, 0 },
	{ "mon0", "arp", NULL, NULL, 1, 0x0806 },
	{ "mon0", "0x0806", NULL, NULL, 1, 0x0806 },
	{ "mon0", "0x806,ipv6,ipv4", NULL, NULL, 3, 0x0806 },
	{ "mon0", "0x86DD", NULL, NULL, 1, 0x86dd },
	{ "mon0", "0xffff", NULL, NULL, 1, 0xffff },
	{ "mon0", "0x0600", NULL, NULL, 1, 0x0600 },
	{ "a-name-of-15-ch", "lldp", NULL, NULL, 1, 0x88cc },
	{ NULL, "arp", NULL, "to: missing", 0, 0 },
	{ "", NULL, NULL, "no name", 0, 0 },
	{ "a-name-of-16-chr", NULL, NULL, "no name", 0, 0 },
	{ "a/b", NULL, NULL, "no name", 0, 0 },
	{ "tap%d", NULL, NULL, "no name", 0, 0 },
	{ "eth0:1", NULL, NULL, "no name", 0, 0 },
	{ "a b", NULL, NULL, "no name", 0, 0 },
	{ "mon0", "", NULL, "\"\" is neither", 0, 0 },
	{ "mon0", "arp,", NULL, "\"\" is neither", 0, 0 },
	{ "mon0", "0x05ff", NULL, "\"0x05ff\" is neither", 0, 0 },
	{ "mon0", "0x10806", NULL, "is neither", 0, 0 },
	{ "mon0", "0x", NULL, "is neither", 0, 0 },
	{ "mon0", "0x-806", NULL, "is neither", 0, 0 },
	{ "mon0", "2054", NULL, "is neither", 0, 0 },
	{ "mon0", "ARP", NULL, "is neither", 0, 0 },
	{ "mon0", seventeen, NULL, "more than 16", 0, 0 },
	{ "mon0", NULL, "from", "no option 'from'", 0, 0 },
};

START_TEST(the_options_of_a_tap_are_read_or_refused_by_name)
{
	struct tap_conf tap = { .n_types = 99 };
	struct module_conf m;
	char error[256] = "";
	int r;

	ck_assert_int_eq(module_conf_init(&m, "tap", error, sizeof(error)), 0);
	ck_assert(tap_conf_is_tap(&m));
	if (cases[_i].types)
		ck_assert_int_eq(module_conf_add_option(&m, "types", cases[_i].types, error,
							sizeof(error)), 0);
	if (cases[_i].to)
		ck_assert_int_eq(module_conf_add_option(&m, "to", cases[_i].to, error,
							sizeof(error)), 0);
	if (cases[_i].other)
		ck_assert_int_eq(module_conf_add_option(&m, cases[_i].other, "x", error,
							sizeof(error)), 0);
	r = tap_conf_parse(&m, &tap, error, sizeof(error));
	if (cases[_i].sentence) {
		ck_assert_int_eq(r, -EINVAL);
		ck_assert_msg(strstr(error, cases[_i].sentence), "%s", error);
		ck_assert_uint_eq(tap.n_types, 99);
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_str_eq(tap.ifname, cases[_i].to);
	ck_assert_uint_eq(tap.n_types, cases[_i].n_types);
	ck_assert_uint_eq(tap.types[0], cases[_i].first);
}
END_TEST

START_TEST(a_module_of_another_name_is_no_tap)
{
	struct module_conf m;
	char error[256];

	ck_assert_int_eq(module_conf_init(&m, "taps", error, sizeof(error)), 0);
	ck_assert(!tap_conf_is_tap(&m));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tap_conf");
	TCase *tc = tcase_create("tap_conf");
	SRunner *runner;
	int n_failed;

	tcase_add_loop_test(tc, the_options_of_a_tap_are_read_or_refused_by_name, 0,
			    (int)N_ELEMENTS(cases));
	tcase_add_test(tc, a_module_of_another_name_is_no_tap);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
