// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_conf.c - the configuration file: what is read, what is refused and how, and
 * printing it back.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/conf.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static char path[] = "/tmp/nbl-conf-XXXXXX";
static struct conf conf;
static char *errors;

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	int fd;

	strcpy(path, "/tmp/nbl-conf-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	conf = (struct conf){ .adapters = NULL };
	errors = NULL;
}

static void teardown(void)
{
	conf_done(&conf);
	free(errors);
	unlink(path);
}

static int parse(const char *text)
{
	write_file(text);
	conf_done(&conf);
	free(errors);
	errors = NULL;
	return conf_read(path, &conf, &errors);
}

static void must_parse(const char *text)
{
	int r = parse(text);

	ck_assert_msg(r == 0, "refused (%d): %s\n%s", r, text, errors);
	ck_assert_ptr_null(errors);
}

/*
 * Claims that 'text' is refused with exactly these lines; each is "LINE: what is
 * wrong", '|' between them.
 */
static void must_refuse(const char *text, const char *lines)
{
	char expected[2048] = "", *copy = strdup(lines), *rest = copy, *line;

	while ((line = strsep(&rest, "|")))
		snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
			 "%s:%s\n", path, line);
	free(copy);
	ck_assert_msg(parse(text) == -EINVAL, "not refused: %s", text);
	ck_assert_str_eq(errors, expected);
	ck_assert_ptr_null(conf.adapters);
}

static const char example[] =
	"# the file of the manual\n"
	"adapter eth0 {\n"
	"    layout = host\n"
	"    fail   = open\n"
	"    module filter { rules = \"/etc/nbld/eth0.rules\" }\n"
	"    module tap    { to = mon0  filter = \"udp port 53\" }\n"
	"    module count {}\n"
	"}\n"
	"adapter inline0 {\n"
	"    lower = eth1\n"
	"    layout = pair\n"
	"    upper = eth2\n"
	"    fail  = closed\n"
	"    queues = \"0-3,5\"  // C++ comment\n"
	"    xdp = native zerocopy = require hang-limit = 0 frames = 9000 ring = 512 pool = 70\n"
	"}\n";

START_TEST(every_key_of_the_example_arrives_in_its_field)
{
	const struct adapter_conf *a, *b;

	must_parse(example);
	ck_assert_uint_eq(conf.n_adapters, 2);
	a = &conf.adapters[0];
	ck_assert_str_eq(a->name, "eth0");
	ck_assert_str_eq(a->lower, "eth0");
	ck_assert_str_eq(a->upper, "");
	ck_assert_int_eq(a->layout, LAYOUT_HOST);
	ck_assert(!a->fail_closed);
	ck_assert_uint_eq(a->n_modules, 3);
	ck_assert_str_eq(a->modules[0].name, "filter");
	ck_assert_str_eq(a->modules[0].options[0].key, "rules");
	ck_assert_str_eq(a->modules[0].options[0].value, "/etc/nbld/eth0.rules");
	ck_assert_uint_eq(a->modules[1].n_options, 2);
	ck_assert_str_eq(a->modules[1].options[1].value, "udp port 53");
	ck_assert_str_eq(a->modules[2].name, "count");
	ck_assert_uint_eq(a->modules[2].n_options, 0);
	b = conf_find(&conf, "inline0");
	ck_assert_ptr_eq(b, &conf.adapters[1]);
	ck_assert_str_eq(b->lower, "eth1");
	ck_assert_str_eq(b->upper, "eth2");
	ck_assert_int_eq(b->layout, LAYOUT_PAIR);
	ck_assert(b->fail_closed);
	ck_assert_uint_eq(b->queues, 0x2f);
	ck_assert_int_eq(b->xdp, XDP_CHOICE_NATIVE);
	ck_assert_int_eq(b->zerocopy, ZEROCOPY_REQUIRE);
	ck_assert_uint_eq(b->hang_limit_ms, 0);
	ck_assert_uint_eq(b->n_frames, 9000);
	ck_assert_uint_eq(b->n_pool_frames, 70);
	ck_assert_uint_eq(b->ring_size, 512);
	ck_assert_ptr_null(conf_find(&conf, "eth1"));
}
END_TEST

START_TEST(what_a_file_does_not_say_is_as_the_defaults)
{
	struct adapter_conf expected = adapter_conf_default();

	must_parse("adapter eth0 { }\n");
	strcpy(expected.name, "eth0");
	strcpy(expected.lower, "eth0");
	ck_assert(adapter_conf_equal(&conf.adapters[0], &expected));
	ck_assert_uint_eq(expected.ring_size, 4096);
	ck_assert_uint_eq(expected.hang_limit_ms, 50);
	ck_assert(!expected.fail_closed);
}
END_TEST

START_TEST(an_empty_file_has_no_adapters)
{
	must_parse("");
	ck_assert_uint_eq(conf.n_adapters, 0);
	must_parse("# nothing\n/* at\nall */\n");
	ck_assert_uint_eq(conf.n_adapters, 0);
	conf_done(&conf);
	ck_assert_int_eq(conf_read("/dev/null", &conf, &errors), 0);
	ck_assert_uint_eq(conf.n_adapters, 0);
}
END_TEST

/*
 * Prints 'conf', reads that, and claims that both are the same; and that printing
 * again gives the same text.
 */
static void must_survive_printing(void)
{
	char *text[2] = { NULL, NULL };
	struct conf before = conf;

	for (int i = 0; i < 2; i++) {
		size_t size;
		FILE *out = open_memstream(&text[i], &size);

		ck_assert_int_eq(conf_print(&conf, out), 0);
		fclose(out);
		if (i == 0) {
			conf = (struct conf){ .adapters = NULL };
			must_parse(text[0]);
		}
	}
	ck_assert_str_eq(text[0], text[1]);
	ck_assert_uint_eq(conf.n_adapters, before.n_adapters);
	for (size_t i = 0; i < before.n_adapters; i++)
		ck_assert_msg(adapter_conf_equal(&conf.adapters[i], &before.adapters[i]),
			      "adapter %zu changed by\n%s", i, text[0]);
	conf_done(&before);
	free(text[0]);
	free(text[1]);
}

START_TEST(reading_what_was_printed_changes_nothing)
{
	must_parse(example);
	must_survive_printing();
}
END_TEST

START_TEST(values_full_of_quotes_escapes_and_variables_survive_printing)
{
	must_parse("adapter \"we\\\"ird\\\\name\" { lower = \"a$b\"\n"
		   "module m { a = \"\\${HOME} \\\\ \\\" 'x' # // { }\" b = '$\\\\{x}' c = \"\" d "
		   "= \"\xc3\xa4\" } }\n");
	ck_assert_str_eq(conf.adapters[0].name, "we\"ird\\name");
	ck_assert_str_eq(conf.adapters[0].modules[0].options[0].value,
			 "${HOME} \\ \" 'x' # // { }");
	ck_assert_str_eq(conf.adapters[0].modules[0].options[1].value, "$\\{x}");
	ck_assert_str_eq(conf.adapters[0].modules[0].options[2].value, "");
	must_survive_printing();
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill_text(uint64_t *r, char *dst, size_t max)
{
	static const char letters[] = "abz019 \"\\$'{}#/=;,()*+~";
	size_t n = next_random(r) % max;

	for (size_t i = 0; i < n; i++)
		dst[i] = letters[next_random(r) % (sizeof(letters) - 1)];
	dst[n] = '\0';
}

static void fill_adapter(uint64_t *r, struct adapter_conf *a, unsigned int i)
{
	*a = adapter_conf_default();
	snprintf(a->name, sizeof(a->name), "a%u\"\\$'", i);
	snprintf(a->lower, sizeof(a->lower), "l%u", i);
	a->layout = next_random(r) % 2 ? LAYOUT_PAIR : LAYOUT_HOST;
	if (a->layout == LAYOUT_PAIR)
		snprintf(a->upper, sizeof(a->upper), "u%u", i);
	a->fail_closed = next_random(r) % 2;
	a->xdp = next_random(r) % 3;
	a->zerocopy = next_random(r) % 3;
	a->queues = next_random(r) & next_random(r);
	a->hang_limit_ms = next_random(r) % 60001;
	a->n_frames = next_random(r) % 1048577;
	a->n_pool_frames = next_random(r) % 1048577;
	a->ring_size = 64u << next_random(r) % 10;
	a->n_modules = next_random(r) % (ADAPTER_MAX_MODULES + 1);
	for (uint32_t m = 0; m < a->n_modules; m++) {
		snprintf(a->modules[m].name, sizeof(a->modules[m].name), "m%u", m);
		a->modules[m].n_options = next_random(r) % (ADAPTER_MAX_OPTIONS + 1);
		for (uint32_t o = 0; o < a->modules[m].n_options; o++) {
			snprintf(a->modules[m].options[o].key, OPTION_KEY_MAX, "k%u", o);
			fill_text(r, a->modules[m].options[o].value, OPTION_VALUE_MAX);
		}
	}
}

START_TEST(two_hundred_random_configurations_survive_printing)
{
	uint64_t r = 0x5eed1001;

	for (int round = 0; round < 200; round++) {
		conf_done(&conf);
		conf.n_adapters = 1 + next_random(&r) % 3;
		conf.adapters = calloc(conf.n_adapters, sizeof(*conf.adapters));
		for (size_t i = 0; i < conf.n_adapters; i++)
			fill_adapter(&r, &conf.adapters[i], (unsigned int)i);
		must_survive_printing();
	}
}
END_TEST

START_TEST(each_error_names_its_line_the_wrong_word_and_the_nearest_right_one)
{
	static const struct { const char *text, *lines; } cases[] = {
		{ "adapter eth0 {\n\tlayuot = host\n}\n",
		  "2: unknown key \"layuot\" in adapter \"eth0\" (did you mean \"layout\"?)" },
		{ "adapter eth0 {\n\n\n\tzzzzzz = 1\n}\n",
		  "4: unknown key \"zzzzzz\" in adapter \"eth0\"" },
		{ "adapter eth0 {\n\tname = x\n}\n",
		  "2: unknown key \"name\" in adapter \"eth0\"" },
		{ "adpter = eth0\n", "1: unknown key \"adpter\" (did you mean \"adapter\"?)" },
		{ "adapter eth0 { fail = opne }\n",
		  "1: fail: \"opne\" is not open or closed (did you mean \"open\"?)" },
		{ "adapter eth0 {\nxdp = fast\n}\n",
		  "2: xdp: \"fast\" is not auto, native or generic" },
		{ "adapter eth0 {\nring = 1000\n}\n",
		  "2: ring: \"1000\" is not a power of two from 64 to 32768" },
		{ "adapter eth0 {\npool = 1048577\n}\n",
		  "2: pool: \"1048577\" is not a number of frames from 0 (none) to 1048576" },
		{ "adapter eth0 {\nframes = 12x\n}\n",
		  "2: frames: \"12x\" is not a number of frames per queue, 0 (as the rings need) "
		  "to 1048576" },
		{ "adapter eth0 {\nhang-limit = 60001\n}\n",
		  "2: hang-limit: \"60001\" is not milliseconds from 0 (never) to 60000" },
		{ "adapter eth0 {\nqueues = \"3-1\"\n}\n",
		  "2: queues: \"3-1\" is not all or a list of queues 0 to 63 like \"0-3,5\"" },
		{ "adapter eth0 {\nlower = \"a/b\"\n}\n",
		  "2: lower: \"a/b\" is not an interface name" },
		{ "adapter eth0 {\nlower = a123456789012345\n}\n",
		  "2: lower: \"a123456789012345\" is not an interface name" },
		{ "adapter eth0 {\nfail = open\nfail = open\n}\n",
		  "3: fail is given twice in adapter \"eth0\"" },
		{ "adapter eth0 { }\nadapter eth0 { }\n", "2: adapter \"eth0\" is there already" },
		{ "adapter eth0 { module a {}\nmodule a {} }\n",
		  "2: module \"a\" is there already" },
		{ "adapter \"a b\" { }\n", "1: \"a b\" is not an adapter's name" },
		{ "adapter eth0 { layout = pair }\n",
		  "1: adapter \"eth0\": upper: layout pair needs a second interface" },
		{ "adapter eth0 { upper = eth1 }\n",
		  "1: adapter \"eth0\": upper: only layout pair has an upper interface" },
		{ "adapter eth0 { layout = pair upper = eth0 }\n",
		  "1: adapter \"eth0\": upper: \"eth0\" is the lower interface already" },
		{ "adapter a { }\nadapter b { layout = pair upper = a }\n",
		  "2: adapter \"b\": adapter \"a\" has interface \"a\" already" },
		{ "adapter a_name_too_long_for_lower { }\n",
		  "1: adapter \"a_name_too_long_for_lower\": lower: needed, as "
		  "\"a_name_too_long_for_lower\" is too long for an interface" },
		{ "adapter a { module \"x y\" { } }\n", "1: \"x y\" is not a module name" },
		{ "adapter a { module x {\n ok = 1\n\n \"a b\" = 3\n } }\n",
		  "4: module x: \"a b\" is not an option's name" },
		{ "adapter a { module x {\n v = \"a\\nb\" } }\n",
		  "2: module x: the value of v has control characters, is no UTF-8, or is longer "
		  "than 511 bytes" },
		{ "adapter a { module x { a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1\ni=1 } }\n",
		  "2: module x: more than 8 options" },
		{ "adapter eth0 {\n", "2: the file ends, but section adapter \"eth0\" does not" },
		{ "adapter eth0 { module x {\na = 1",
		  "3: the file ends, but section module \"x\" does not" },
		{ "adapter eth0 { fail =", "2: the file ends where a value should be" },
		{ "adapter eth0 { }\n/* ", "3: the file ends in a comment or string" },
		{ "adapter eth0 { lower = \"e }\n", "2: premature end of file" },
		{ "adapter eth0 { fail = }\n", "1: unexpected token '}'" },
		{ "adapter eth0 { }}\n", "1: unexpected closing brace" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		must_refuse(cases[i].text, cases[i].lines);
}
END_TEST

START_TEST(all_errors_of_a_file_are_told_at_once)
{
	must_refuse("adapter eth0 {\n"
		    "	layuot = host\n"
		    "	fail = opne\n"
		    "	ring = 1000\n"
		    "	module x { a = \"\x80\" }\n"
		    "}\n"
		    "adapter eth1 {\n"
		    "	layout = pair\n"
		    "}\n",
		    "2: unknown key \"layuot\" in adapter \"eth0\" (did you mean \"layout\"?)|"
		    "3: fail: \"opne\" is not open or closed (did you mean \"open\"?)|"
		    "4: ring: \"1000\" is not a power of two from 64 to 32768|"
		    "5: module x: the value of a has control characters, is no UTF-8, or is longer "
		    "than 511 bytes|9: adapter \"eth1\": upper: layout pair needs a second "
		    "interface");
}
END_TEST

/* libconfuse 3.3 alone counts the lines of comments twice. */
START_TEST(comments_of_every_kind_leave_the_line_numbers_right)
{
	must_refuse("# one\n# two\nadapter a {\n\tlayout = bogus # three\n}\n",
		    "4: layout: \"bogus\" is not host or pair");
	must_refuse("adapter a {\n// one\n\tlayout = bogus // two\n}\n",
		    "3: layout: \"bogus\" is not host or pair");
	must_refuse("adapter a { /* one\n * two\n */\n\tlayout = bogus\n}\n",
		    "4: layout: \"bogus\" is not host or pair");
}
END_TEST

START_TEST(what_looks_like_a_comment_inside_quotes_is_none)
{
	must_parse("adapter a {\n\tmodule delay { x = \"a # b\" y = '// c' z = \"/* \\\" # d */\" "
		   "}\n}\n");
	ck_assert_str_eq(conf.adapters[0].modules[0].options[0].value, "a # b");
	ck_assert_str_eq(conf.adapters[0].modules[0].options[1].value, "// c");
	ck_assert_str_eq(conf.adapters[0].modules[0].options[2].value, "/* \" # d */");
}
END_TEST

START_TEST(a_broken_file_does_not_spoil_the_next_reading)
{
	static const char *const broken[] = {
		"adapter a { fail = \"open\n", "adapter a { fail = 'open\n", "adapter a { /* ", "{",
		"\"", "=",
		"adapter a { module b { c = { 1, 2 } } }", "adapter \"\" {", "a|b = 3", "\xff\xfe",
		"adapter a (",
	};

	for (size_t i = 0; i < N_ELEMENTS(broken); i++) {
		int r = parse(broken[i]);

		ck_assert(r == 0 || (r == -EINVAL && *errors));
		must_parse(example);
		ck_assert_uint_eq(conf.n_adapters, 2);
	}
}
END_TEST

/* Cuts and mutates the example: whatever comes, it is read or refused with reasons. */
START_TEST(no_mutation_of_a_file_is_refused_without_a_reason)
{
	uint64_t r = 0x5eed1002;

	for (int round = 0; round < 2000; round++) {
		char text[sizeof(example)];
		int result;

		memcpy(text, example, sizeof(text));
		for (uint64_t n = 1 + next_random(&r) % 4; n; n--)
			text[next_random(&r) % (sizeof(text) - 1)] =
				(char)(1 + next_random(&r) % 255);
		if (next_random(&r) % 4 == 0)
			text[next_random(&r) % sizeof(text)] = '\0';
		result = parse(text);
		ck_assert_msg(result == 0 || (result == -EINVAL && strstr(errors, path) == errors),
			      "%d for\n%s", result, text);
		if (result == 0)
			must_survive_printing();
	}
}
END_TEST

START_TEST(a_file_that_others_may_write_is_refused)
{
	write_file(example);
	ck_assert_int_eq(chmod(path, 0646), 0);
	ck_assert_int_eq(conf_read(path, &conf, &errors), -EPERM);
	ck_assert_ptr_nonnull(strstr(errors,
				     "others may write it (mode 0646). Try: chmod o-w /tmp/"));
	free(errors);
	ck_assert_int_eq(chmod(path, 0664), 0);
	ck_assert_int_eq(conf_read(path, &conf, &errors), 0);
}
END_TEST

START_TEST(a_file_that_is_not_there_or_no_file_is_refused)
{
	ck_assert_int_eq(conf_read("/tmp", &conf, &errors), -EINVAL);
	ck_assert_str_eq(errors, "/tmp: not a regular file\n");
	free(errors);
	unlink(path);
	ck_assert_int_eq(conf_read(path, &conf, &errors), -ENOENT);
	ck_assert_ptr_nonnull(strstr(errors, "cannot be read (ENOENT)"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf");
	TCase *tests = tcase_create("conf");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, every_key_of_the_example_arrives_in_its_field);
	tcase_add_test(tests, what_a_file_does_not_say_is_as_the_defaults);
	tcase_add_test(tests, an_empty_file_has_no_adapters);
	tcase_add_test(tests, reading_what_was_printed_changes_nothing);
	tcase_add_test(tests, values_full_of_quotes_escapes_and_variables_survive_printing);
	tcase_add_test(tests, two_hundred_random_configurations_survive_printing);
	tcase_add_test(tests, each_error_names_its_line_the_wrong_word_and_the_nearest_right_one);
	tcase_add_test(tests, all_errors_of_a_file_are_told_at_once);
	tcase_add_test(tests, comments_of_every_kind_leave_the_line_numbers_right);
	tcase_add_test(tests, what_looks_like_a_comment_inside_quotes_is_none);
	tcase_add_test(tests, a_broken_file_does_not_spoil_the_next_reading);
	tcase_add_test(tests, no_mutation_of_a_file_is_refused_without_a_reason);
	tcase_add_test(tests, a_file_that_others_may_write_is_refused);
	tcase_add_test(tests, a_file_that_is_not_there_or_no_file_is_refused);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
