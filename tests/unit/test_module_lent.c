/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_module_lent.c - chains indicated with RESOURCES: the same
 * list comes back, whatever was done with it.
 */
#include "unit/module_fixture.h"

static uint32_t mask;
static uint32_t passed;
static struct nbl *seen[64];
static uint32_t n_seen;

/* Module a lends to those above, and has them again on return. */
static void lend_up(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	struct nbl *before[64], *n = c.head;
	uint32_t count = 0;

	for (; n; n = n->next)
		before[count++] = n;
	nbl_filter_indicate(a->f, c, 0, NBL_RECEIVE_RESOURCES);
	n = c.head;
	for (uint32_t i = 0; i < count; i++, n = n->next) {
		ck_assert_ptr_eq(n, before[i]);
		ck_assert(!(n->nbl_flags & NBL_FLAG_BORROWED));
	}
	ck_assert_ptr_null(n);
	ck_assert_int_eq(a->f->held, count);
	nbl_filter_return(a->f, c);
}

/* Module b drops those in the mask: it indicates the others, in runs, and puts the links back. */
static void drop_masked(struct actor *b, struct nbl_chain c, uint32_t flags)
{
	struct nbl *next;
	int i = 0;

	ck_assert(flags & NBL_RECEIVE_RESOURCES);
	for (struct nbl *n = c.head; n; n = next, i++) {
		next = n->next;
		if (mask >> i & 1)
			continue;
		nbl_filter_indicate(b->f, one(n), 0, flags);
		n->next = next;
	}
}

static void see(struct actor *c, struct nbl_chain chain, uint32_t flags)
{
	ck_assert(flags & NBL_RECEIVE_RESOURCES);
	for (struct nbl *n = chain.head; n; n = n->next) {
		ck_assert(n->nbl_flags & NBL_FLAG_BORROWED);
		seen[n_seen++ % 64] = n;
		passed++;
	}
}

START_TEST(dropping_over_all_masks_leaves_the_list_as_it_was)
{
	begin(3);
	actors[0].receive = lend_up;
	actors[1].receive = drop_masked;
	actors[2].receive = see;
	for (mask = 0; mask < 256; mask++) {
		passed = 0;
		rig_deliver(&rig, 0, 8);
		rig_turn(&rig);
		ck_assert_uint_eq(passed, 8 - (uint32_t)__builtin_popcount(mask));
	}
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 8 * 256);
	/* b dropped those in its masks, c the others; a only gave them back */
	ck_assert_uint_eq(drops_at(actors[1].f->id), 4 * 256);
	ck_assert_uint_eq(drops_at(actors[2].f->id), 4 * 256);
	ck_assert_uint_eq(actors[1].n_returned + actors[2].n_returned, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(actors[i].f->held, 0);
	ck_assert_uint_eq(violations(), 0);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- rules broken ---- */

static void reverse(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	struct nbl *before = NULL, *next;

	for (struct nbl *n = c.head; n; n = next) {
		next = n->next;
		n->next = before;
		before = n;
	}
}

static void cut(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	c.head->next->next = NULL;
}

static void keep_first(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	struct nbl *n = nbl_chain_pop(&c);

	nbl_chain_append(&a->up, n);
	a->up = NBL_CHAIN_EMPTY;
}

static void give_back(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	nbl_filter_return(a->f, c);
}

static void clear_flag(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	nbl_filter_indicate(a->f, c, 0, 0);
}

static const struct {
	void (*receive)(struct actor *a, struct nbl_chain c, uint32_t flags);
	uint64_t violations;
} wrong[] = {
	{ reverse, 1 }, { cut, 1 }, { keep_first, 1 },
	{ give_back, 8 + 1 },		/* each, and the links */
	{ clear_flag, 1 },
};

START_TEST(a_module_that_breaks_the_rules_of_lending_is_counted_and_the_list_restored)
{
	begin(3);
	actors[0].receive = lend_up;	/* checks the list */
	actors[1].receive = wrong[_i].receive;
	actors[2].receive = see;
	rig_deliver(&rig, 0, 8);
	rig_turn(&rig);
	ck_assert_uint_ge(violations(), wrong[_i].violations - (wrong[_i].receive == give_back));
	ck_assert_uint_le(violations(), wrong[_i].violations);
	ck_assert_uint_eq(rig.lane.figures.modules[actors[1].f->id].faults, violations());
	ck_assert_uint_eq(rig.lane.figures.modules[actors[2].f->id].faults, 0);
	ck_assert_int_eq(actors[1].f->held, 0);
	ck_assert_uint_eq(outcome(NBL_OUTCOME_RETURNED), 8);
	rig_turn(&rig);
	rig_check_with(&rig, violations());
	end();
}
END_TEST

static void copy_and_indicate(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	struct nbl *copy;

	ck_assert_int_eq(nbl_alloc_copy(c.head, rig.pool, rig.pool, &copy), 0);
	nbl_filter_own(a->f, copy);
	ck_assert_int_eq(nbl_filter_originate_receive(a->f, one(copy), 0, 0), 0);
}

static void keep_own(struct actor *a, struct nbl_chain c, uint32_t flags)
{
	ck_assert(!(flags & NBL_RECEIVE_RESOURCES));
	nbl_chain_join(&a->up, &c);
}

static void free_own(struct actor *a, struct nbl_chain c)
{
	ck_assert_int_eq(nbl_free(c.head), 0);
}

START_TEST(a_copy_of_a_lent_one_is_its_own_and_may_go_up_without_the_flag)
{
	begin(3);
	actors[0].receive = lend_up;
	actors[1].receive = copy_and_indicate;
	actors[1].receive_return = free_own;
	actors[2].receive = keep_own;
	rig_deliver(&rig, 0, 1);
	rig_turn(&rig);
	ck_assert_uint_eq(violations(), 0);
	ck_assert_uint_eq(actors[2].up.n_nbls, 1);
	nbl_filter_return(actors[2].f, nbl_chain_take(&actors[2].up));
	ck_assert_int_eq(actors[1].f->n_originated, 0);
	rig_check(&rig);
	end();
}
END_TEST

/* ---- the engine lends ---- */

START_TEST(in_shortage_dropping_and_passing_on_bring_every_frame_home)
{
	uint64_t held;

	begin(2);
	actors[1].receive = keep_up;
	actors[1].pause = let_go;
	actors[1].send = keep_down;
	for (int i = 0; i < 7; i++) {
		rig_deliver(&rig, (uint32_t)i % 2, 64);
		rig_turn(&rig);
	}
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], 7 * 64);
	rig_deliver(&rig, 1, 20);
	rig_turn(&rig);
	ck_assert(nbl_lane_is_short(&rig.lane, &rig.lane.queues[0]));
	held = rig.lane.figures.frames[NBL_FRAME_HELD];
	actors[1].receive = _i ? drop : NULL;
	rig_deliver(&rig, 0, 20);
	rig_turn(&rig);
	rig_run_kernel(&rig);
	rig_turn(&rig);
	ck_assert_uint_eq(rig.lane.figures.frames[NBL_FRAME_HELD], held);
	ck_assert_uint_eq(actors[0].f->held, 0);
	actors[1].receive = NULL;
	actors[1].send = NULL;
	rig_settle(&rig);
	ck_assert_uint_eq(violations(), 0);
	rig_check(&rig);
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	end();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ dropping_over_all_masks_leaves_the_list_as_it_was, 1 },
		{ a_module_that_breaks_the_rules_of_lending_is_counted_and_the_list_restored,
		  (int)N_ELEMENTS(wrong) },
		{ a_copy_of_a_lent_one_is_its_own_and_may_go_up_without_the_flag, 1 },
		{ in_shortage_dropping_and_passing_on_bring_every_frame_home, 2 },
	};

	return rig_run("module_lent", tests, N_ELEMENTS(tests));
}
