// SPDX-License-Identifier: BSD-2-Clause
/* test_attach_words.c - the words of commands: attach, module add, and the names of all. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/attach_words.h"
#include "edge/settings.h"
#include "edge/text.h"
#include "edge/verbs.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_WORDS 40

static char error[256];

/*
 * Splits 'line' at spaces into 'words'; '_' alone stands for an empty word. The text
 * lives until the next call.
 */
static size_t split(const char *line, const char **words)
{
	static char copy[1024];
	char *rest = copy, *word;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while (*line && (word = strsep(&rest, " ")))
		words[n++] = strcmp(word, "_") ? word : "";
	return n;
}

static int attach(const char *line, struct adapter_conf *conf)
{
	const char *words[MAX_WORDS];
	size_t n = split(line, words);

	*error = '\0';
	return attach_words_parse(words, n, conf, error, sizeof(error));
}

START_TEST(attach_to_the_host_needs_only_the_interface)
{
	struct adapter_conf expected = adapter_conf_default(), conf;

	ck_assert_int_eq(attach("eth0 host", &conf), 0);
	strcpy(expected.name, "eth0");
	strcpy(expected.lower, "eth0");
	ck_assert(adapter_conf_equal(&conf, &expected));
	ck_assert_uint_eq(conf.n_modules, 0);
}
END_TEST

START_TEST(every_word_of_attach_arrives_in_its_field)
{
	struct adapter_conf conf;

	ck_assert_int_eq(attach("eth0 pair eth1 ring 128 name in-line.0 fail closed queues "
				"0-3,5,63 xdp generic zerocopy off hang-limit 60000 frames 1048576 "
				"pool 0", &conf), 0);
	ck_assert_str_eq(conf.name, "in-line.0");
	ck_assert_str_eq(conf.lower, "eth0");
	ck_assert_str_eq(conf.upper, "eth1");
	ck_assert_int_eq(conf.layout, LAYOUT_PAIR);
	ck_assert(conf.fail_closed);
	ck_assert_uint_eq(conf.queues, UINT64_C(0x800000000000002f));
	ck_assert_int_eq(conf.xdp, XDP_CHOICE_GENERIC);
	ck_assert_int_eq(conf.zerocopy, ZEROCOPY_OFF);
	ck_assert_uint_eq(conf.hang_limit_ms, 60000);
	ck_assert_uint_eq(conf.n_frames, 1048576);
	ck_assert_uint_eq(conf.n_pool_frames, 0);
	ck_assert_uint_eq(conf.ring_size, 128);
}
END_TEST

START_TEST(wrong_words_are_named_and_change_nothing)
{
	static const struct { const char *line, *says; } cases[] = {
		{ "", "lower: missing: an interface name" },
		{ "eth0", "layout: missing: host or pair" },
		{ "eth0 hst", "layout: \"hst\" is not host or pair (did you mean \"host\"?)" },
		{ "eth0 pair", "upper: missing: an interface name" },
		{ "eth0 pair eth0", "upper: \"eth0\" is the lower interface already" },
		{ "e/0 host", "lower: \"e/0\" is not an interface name" },
		{ "_ host", "lower: \"\" is not an interface name" },
		{ ".. host", "lower: \"..\" is not an interface name" },
		{ "-eth0 host", "lower: \"-eth0\" is not an interface name" },
		{ "a123456789012345 host", "lower: \"a123456789012345\" is not an interface name" },
		{ "eth0 host quues all", "unknown word \"quues\" (did you mean \"queues\"?)" },
		{ "eth0 host upper eth1", "unknown word \"upper\"" },
		{ "eth0 host ring", "ring: missing: a power of two from 64 to 32768" },
		{ "eth0 host ring 96", "ring: \"96\" is not a power of two from 64 to 32768" },
		{ "eth0 host ring 65536",
		  "ring: \"65536\" is not a power of two from 64 to 32768" },
		{ "eth0 host ring 64 ring 64", "ring: given twice" },
		{ "eth0 host fail yes", "fail: \"yes\" is not open or closed" },
		{ "eth0 host hang-limit 1s",
		  "hang-limit: \"1s\" is not milliseconds from 0 (never) to 60000" },
		{ "eth0 host hang-limit 99999999999999999999999",
		  "hang-limit: \"99999999999999999999999\" is not milliseconds from 0 (never) to "
		  "60000" },
		{ "eth0 host name a/b",
		  "name: \"a/b\" is not a name of up to 31 visible characters, no '/'" },
		{ "eth0 host name a2345678901234567890123456789012",
		  "name: \"a2345678901234567890123456789012\" is not a name of up to 31 visible "
		  "characters, no '/'" },
		{ "eth0 host queues 64",
		  "queues: \"64\" is not all or a list of queues 0 to 63 like \"0-3,5\"" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct adapter_conf conf = { .name = "untouched" };

		ck_assert_int_eq(attach(cases[i].line, &conf), -EINVAL);
		ck_assert_str_eq(error, cases[i].says);
		ck_assert_str_eq(conf.name, "untouched");
	}
}
END_TEST

START_TEST(queue_lists_become_masks_and_masks_lists)
{
	static const struct { const char *list; uint64_t mask; const char *printed; } cases[] = {
		{ "all", 0, "all" },
		{ "0", 1, "0" },
		{ "63", UINT64_C(1) << 63, "63" },
		{ "0-63", UINT64_MAX, "0-63" },
		{ "5,0-3", 0x2f, "0-3,5" },
		{ "1,2,3", 0xe, "1-3" },
		{ "7-7", 0x80, "7" },
		{ "0,2,4-5", 0x35, "0,2,4-5" },
		{ "62,63", UINT64_C(3) << 62, "62-63" },
	};
	static const char *const wrong[] = { "", "x", "1,", ",1", "1,,2", "1-", "-1", "2-1", "0-64",
					     "100", "1 2", "1-2-3", "+1", "0x1", "a-b", "all,1" };
	const char *nearest;
	const struct setting *s = setting_find("queues", SETTING_WORDS, &nearest);

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct adapter_conf conf = adapter_conf_default();
		char text[SETTING_TEXT_MAX];

		ck_assert_int_eq(s->parse(s, &conf, cases[i].list, error, sizeof(error)), 0);
		ck_assert_uint_eq(conf.queues, cases[i].mask);
		s->print(s, &conf, text);
		ck_assert_str_eq(text, cases[i].printed);
	}
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		struct adapter_conf conf = { .queues = 42 };

		ck_assert_msg(s->parse(s, &conf, wrong[i], error, sizeof(error)) == -EINVAL,
			      "accepted: %s", wrong[i]);
		ck_assert_uint_eq(conf.queues, 42);
	}
}
END_TEST

START_TEST(each_setting_prints_what_it_parses)
{
	static const struct { const char *key, *value; } cases[] = {
		{ "lower", "eth7" }, { "layout", "pair" }, { "upper", "eth8" },
		{ "fail", "closed" },
		{ "queues", "1-2" }, { "xdp", "native" }, { "zerocopy", "require" },
		{ "hang-limit", "7" }, { "frames", "0" }, { "ring", "32768" }, { "pool", "12" },
		{ "name", "x" },
	};
	size_t n;

	settings_get(&n);
	ck_assert_uint_eq(n, N_ELEMENTS(cases));
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct adapter_conf conf = adapter_conf_default();
		const char *nearest;
		const struct setting *s = setting_find(cases[i].key, SETTING_FILE | SETTING_WORDS,
						       &nearest);
		char text[SETTING_TEXT_MAX];

		ck_assert_ptr_nonnull(s);
		ck_assert_int_eq(s->parse(s, &conf, cases[i].value, error, sizeof(error)), 0);
		s->print(s, &conf, text);
		ck_assert_str_eq(text, cases[i].value);
	}
}
END_TEST

START_TEST(configurations_that_differ_in_one_setting_or_module_are_not_equal)
{
	static const char *const lines[] = {
		"eth0 pair eth1", "eth0 pair eth2", "eth2 pair eth1 name eth0", "eth0 host",
		"eth0 pair eth1 name x", "eth0 pair eth1 fail closed", "eth0 pair eth1 queues 0",
		"eth0 pair eth1 xdp native", "eth0 pair eth1 zerocopy off",
		"eth0 pair eth1 hang-limit 1",
		"eth0 pair eth1 frames 9", "eth0 pair eth1 pool 9", "eth0 pair eth1 ring 64",
	};
	struct adapter_conf a, b;

	for (size_t i = 0; i < N_ELEMENTS(lines); i++) {
		for (size_t j = 0; j < N_ELEMENTS(lines); j++) {
			ck_assert_int_eq(attach(lines[i], &a), 0);
			ck_assert_int_eq(attach(lines[j], &b), 0);
			ck_assert_int_eq(adapter_conf_equal(&a, &b), i == j);
			ck_assert_int_eq(adapter_conf_equal_ports(&a, &b), i == j);
		}
	}
	b = a;
	b.n_modules = 1;
	strcpy(b.modules[0].name, "count");
	ck_assert(!adapter_conf_equal(&a, &b));
	ck_assert(adapter_conf_equal_ports(&a, &b));
	a = b;
	ck_assert(adapter_conf_equal(&a, &b));
	a.modules[0].n_options = 1;
	strcpy(a.modules[0].options[0].key, "k");
	ck_assert(!adapter_conf_equal(&a, &b));
	b = a;
	strcpy(b.modules[0].options[0].value, "v");
	ck_assert(!adapter_conf_equal(&a, &b));
}
END_TEST

static int module_add(const char *line, struct module_words *m)
{
	const char *words[MAX_WORDS];
	size_t n = split(line, words);

	*error = '\0';
	return module_words_parse(words, n, m, error, sizeof(error));
}

START_TEST(module_add_takes_a_place_and_options_in_any_order)
{
	struct module_words m;

	ck_assert_int_eq(module_add("eth0 tap to=mon0 after filter filter=a=b empty=", &m), 0);
	ck_assert_str_eq(m.adapter, "eth0");
	ck_assert_str_eq(m.conf.name, "tap");
	ck_assert_ptr_null(m.before);
	ck_assert_str_eq(m.after, "filter");
	ck_assert_uint_eq(m.conf.n_options, 3);
	ck_assert_str_eq(m.conf.options[0].key, "to");
	ck_assert_str_eq(m.conf.options[1].value, "a=b");
	ck_assert_str_eq(m.conf.options[2].value, "");
	ck_assert_int_eq(module_add("eth0 count", &m), 0);
	ck_assert_uint_eq(m.conf.n_options, 0);
	ck_assert_int_eq(module_add("eth0 count before tap", &m), 0);
	ck_assert_str_eq(m.before, "tap");
}
END_TEST

START_TEST(module_add_refuses_what_it_cannot_read)
{
	static const struct { const char *line, *says; } cases[] = {
		{ "", "needs the names of an adapter and of a module" },
		{ "eth0", "needs the names of an adapter and of a module" },
		{ "eth0 a/b", "\"a/b\" is not a module name" },
		{ "eth0 a2345678901234567890123456789012",
		  "\"a2345678901234567890123456789012\" is not a module name" },
		{ "eth0 m x", "\"x\" is neither KEY=VALUE nor before or after a module" },
		{ "eth0 m =x", "module m: \"\" is not an option's name" },
		{ "eth0 m a2345678901234567890123456789012=x",
		  "module m: \"a2345678901234567890123456789012\" is not an option's name" },
		{ "eth0 m a=1 a=2", "module m: a is given twice" },
		{ "eth0 m before", "before and after need the name of a module" },
		{ "eth0 m before a=b", "before and after need the name of a module" },
		{ "eth0 m before a after b", "before and after: only one, once" },
		{ "eth0 m a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1", "module m: more than 8 options" },
		{ "eth0 m a=\x01",
		  "module m: the value of a has control characters, is no UTF-8, or is longer than "
		  "511 bytes" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct module_words m = { .adapter = NULL };

		ck_assert_msg(module_add(cases[i].line, &m) == -EINVAL, "accepted: %s",
			      cases[i].line);
		ck_assert_str_eq(error, cases[i].says);
		ck_assert_ptr_null(m.adapter);
	}
}
END_TEST

START_TEST(module_set_takes_options_only_and_at_least_one)
{
	static const struct { const char *line, *says; } wrong[] = {
		{ "eth0 m", "needs KEY=VALUE" },
		{ "eth0 m before x a=1", "a module keeps its place" },
		{ "eth0 m after x", "needs KEY=VALUE" },
		{ "eth0 m a", "\"a\" is neither KEY=VALUE nor before or after a module" },
	};
	const char *words[MAX_WORDS];
	struct module_words m = { .adapter = NULL };
	size_t n = split("eth0 delay ms=5 limit=7", words);

	ck_assert_int_eq(module_set_words_parse(words, n, &m, error, sizeof(error)), 0);
	ck_assert_str_eq(m.conf.name, "delay");
	ck_assert_uint_eq(m.conf.n_options, 2);
	ck_assert_str_eq(m.conf.options[1].value, "7");
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		struct module_words none = { .adapter = NULL };

		n = split(wrong[i].line, words);
		ck_assert_int_eq(module_set_words_parse(words, n, &none, error, sizeof(error)),
				 -EINVAL);
		ck_assert_str_eq(error, wrong[i].says);
		ck_assert_ptr_null(none.adapter);
	}
}
END_TEST

static const struct verb *find(const char *line, size_t *used)
{
	const char *words[MAX_WORDS];
	size_t n = split(line, words);

	*error = '\0';
	return verb_find(words, n, used, error, sizeof(error));
}

START_TEST(commands_are_found_by_any_beginning_that_is_unique)
{
	static const struct { const char *line; enum verb_id id; size_t used; } cases[] = {
		{ "show", VERB_SHOW, 1 }, { "s", VERB_SHOW, 1 }, { "sh eth0", VERB_SHOW, 1 },
		{ "at eth0 host", VERB_ATTACH, 1 }, { "au", VERB_AUDIT, 1 },
		{ "m l eth0", VERB_MODULE_LIST, 2 },
		{ "module rem eth0 tap", VERB_MODULE_REMOVE, 2 },
		{ "mod add eth0 tap before x a=b", VERB_MODULE_ADD, 2 },
		{ "help mod add", VERB_HELP, 1 },
		{ "nbl f1", VERB_NBL, 1 }, { "nbll eth0 on", VERB_NBLLOG, 1 },
		{ "nblp", VERB_NBLPOOL, 1 }, { "p eth0", VERB_PENDINGNBLS, 1 },
		{ "module set eth0 delay ms=1", VERB_MODULE_SET, 2 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		size_t used = 0;
		const struct verb *v = find(cases[i].line, &used);

		ck_assert_msg(v, "not found: %s: %s", cases[i].line, error);
		ck_assert_int_eq(v->id, cases[i].id);
		ck_assert_uint_eq(used, cases[i].used);
	}
}
END_TEST

START_TEST(commands_that_are_unclear_unknown_or_incomplete_say_what_is_possible)
{
	static const struct { const char *line, *says; } cases[] = {
		{ "a", "\"a\" fits more than one command: attach, audit. Try: nblctl help" },
		{ "shw", "unknown command \"shw\" (did you mean \"show\"?). Try: nblctl help" },
		{ "_", "unknown command \"\". Try: nblctl help" },
		{ "capture", "unknown command \"capture\". Try: nblctl help" },
		{ "module", "module needs one of: list, add, set, remove. "
		  "Try: nblctl help module" },
		{ "module x", "unknown command \"x\". Try: nblctl help" },
		{ "module lst eth0",
		  "unknown command \"lst\" (did you mean \"list\"?). Try: nblctl help" },
		{ "detach", "too few words. Usage: nblctl detach NAME" },
		{ "detach a b", "too many words. Usage: nblctl detach NAME" },
		{ "show a b", "too many words. Usage: nblctl show [NAME]" },
		{ "attach eth0",
		  "too few words. Usage: nblctl attach IF host | IF pair IF2 [KEY VALUE ...]" },
		{ "module remove a",
		  "too few words. Usage: nblctl module remove NAME MODULE [force]" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		size_t used;

		ck_assert_ptr_null(find(cases[i].line, &used));
		ck_assert_str_eq(error, cases[i].says);
	}
}
END_TEST

START_TEST(text_for_terminals_has_no_control_bytes_and_no_broken_utf8)
{
	static const struct { const char *in, *out; bool clean; } cases[] = {
		{ "plain", "plain", true },
		{ "\x1b[31m", "\\x1b[31m", false },
		{ "a\nb\x7f", "a\\x0ab\\x7f", false },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
		  true },
		{ "\xc2\x9b", "\\xc2\\x9b", false },			/* C1 CSI */
		{ "\xc0\xaf", "\\xc0\\xaf", false },			/* overlong */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80", false },		/* surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", false },	/* beyond Unicode */
		{ "\xe2\x82", "\\xe2\\x82", false },			/* cut */
		{ "\xff", "\\xff", false },
	};
	char out[64];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		ck_assert_str_eq(text_escape(out, sizeof(out), cases[i].in), cases[i].out);
		ck_assert_int_eq(text_is_clean(cases[i].in), cases[i].clean);
	}
	ck_assert_str_eq(text_escape(out, 5, "abcdef"), "abcd");
	ck_assert_str_eq(text_escape(out, 5, "ab\x1b"), "ab");
	ck_assert_str_eq(text_escape(out, 4, "ab\xc3\xa4"), "ab");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("attach_words");
	TCase *tests = tcase_create("attach_words");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, attach_to_the_host_needs_only_the_interface);
	tcase_add_test(tests, every_word_of_attach_arrives_in_its_field);
	tcase_add_test(tests, wrong_words_are_named_and_change_nothing);
	tcase_add_test(tests, queue_lists_become_masks_and_masks_lists);
	tcase_add_test(tests, each_setting_prints_what_it_parses);
	tcase_add_test(tests, configurations_that_differ_in_one_setting_or_module_are_not_equal);
	tcase_add_test(tests, module_add_takes_a_place_and_options_in_any_order);
	tcase_add_test(tests, module_add_refuses_what_it_cannot_read);
	tcase_add_test(tests, module_set_takes_options_only_and_at_least_one);
	tcase_add_test(tests, commands_are_found_by_any_beginning_that_is_unique);
	tcase_add_test(tests, commands_that_are_unclear_unknown_or_incomplete_say_what_is_possible);
	tcase_add_test(tests, text_for_terminals_has_no_control_bytes_and_no_broken_utf8);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
