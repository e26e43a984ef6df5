/* SPDX-License-Identifier: BSD-2-Clause */
/* test_module_entry.c - what keeps a module out of the stack: its handlers, its options. */
#include "unit/module_fixture.h"

/* ---- handlers ---- */

static void any_chain(struct nbl_filter *f, struct nbl_chain c, uint32_t port, uint32_t flags) { }
static void any_back(struct nbl_filter *f, struct nbl_chain c, uint32_t flags) { }
static void any_cancel(struct nbl_filter *f, uint64_t id) { }
static void any_status(struct nbl_filter *f, const struct nbl_status_indication *s) { }

START_TEST(every_set_of_handlers_is_taken_or_refused_by_the_rules)
{
	for (uint32_t set = 0; set < 1u << 6; set++) {
		for (uint32_t flags = 0; flags < 8; flags++) {
			const struct nbl_module m = {
				.version = NBL_MODULE_VERSION, .size = sizeof(m), .name = "set",
				.flags = (flags & 1 ? NBL_MODULE_ORIGINATES_SENDS : 0) |
					 (flags & 2 ? NBL_MODULE_ORIGINATES_RECEIVES : 0) |
					 (flags & 4 ? NBL_MODULE_QUEUES_SENDS : 0),
				.receive = set & 1 ? any_chain : NULL,
				.receive_return = set & 2 ? any_back : NULL,
				.send = set & 4 ? any_chain : NULL,
				.send_complete = set & 8 ? any_back : NULL,
				.cancel_send = set & 16 ? any_cancel : NULL,
				.status = set & 32 ? any_status : NULL,
			};
			bool fine = !(flags & 1 && !(set & 8)) && !(flags & 2 && !(set & 2)) &&
				    !(flags & 4 && !(set & 16)) && !(set & 3 && !(set & 32));
			char error[128] = "";

			ck_assert_int_eq(nbl_module_check(&m, error, sizeof(error)),
					 fine ? 0 : -EINVAL);
			ck_assert_int_eq(!error[0], fine);
		}
	}
}
END_TEST

START_TEST(a_module_without_the_handlers_it_needs_is_not_put_in)
{
	static struct nbl_module m;
	char error[128] = "";

	begin(1);
	m = actor_modules[1];
	m.send_complete = NULL;
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &m, NULL, 0, 0, error, sizeof(error)),
			 -EINVAL);
	ck_assert_str_eq(error, "module b originates sends and has no send_complete (TX-16)");
	m = actor_modules[1];
	m.version = 1;
	ck_assert_int_eq(nbl_stack_insert(&rig.stack, &m, NULL, 0, 0, error, sizeof(error)),
			 -EINVAL);
	ck_assert_uint_eq(rig.stack.n_modules, 1);
	ck_assert_str_eq(trace, "");
	end();
}
END_TEST

/* ---- options ---- */

static const struct {
	const char *key, *value, *error;
} options[] = {
	{ "mandatory", "yes", NULL }, { "mandatory", "no", NULL }, { "bypass", "receive", NULL },
	{ "bypass", "none", NULL }, { "max-held", "17", NULL }, { "max-share", "100", NULL },
	{ "soft-age", "0", NULL }, { "hard-age", "5", NULL },
	{ "mandatory", "1", "a: mandatory must be yes or no, not '1'" },
	{ "bypass", "all", "a: bypass must be receive, send, both or none, not 'all'" },
	{ "max-held", "-1", "a: max-held must be a number from 0 to 1000000000, not '-1'" },
	{ "max-share", "0", "a: max-share must be a number from 1 to 100, not '0'" },
	{ "max-share", "101", "a: max-share must be a number from 1 to 100, not '101'" },
	{ "soft-age", "1s", "a: soft-age must be milliseconds from 0 to 86400000, not '1s'" },
	{ "hard-age", "", "a: hard-age must be milliseconds from 0 to 86400000, not ''" },
};

START_TEST(the_engines_options_are_taken_out_before_attach_and_checked)
{
	const struct nbl_option o = { options[_i].key, options[_i].value };
	char error[128] = "";
	int r;

	begin(0);
	r = add_with(0, 0, &o, 1, error, sizeof(error));
	ck_assert_int_eq(r, options[_i].error ? -EINVAL : 0);
	ck_assert_str_eq(error, options[_i].error ? options[_i].error : "");
	if (!r && !strcmp(o.key, "max-held"))
		ck_assert_uint_eq(rig.stack.modules[0].settings.limits.max_held, 17);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ every_set_of_handlers_is_taken_or_refused_by_the_rules, 1 },
		{ a_module_without_the_handlers_it_needs_is_not_put_in, 1 },
		{ the_engines_options_are_taken_out_before_attach_and_checked,
		  (int)N_ELEMENTS(options) },
	};

	return rig_run("module_entry", tests, N_ELEMENTS(tests));
}
