/* SPDX-License-Identifier: BSD-2-Clause */
/* test_binding_send.c - what bindings send, see of it, and call back. */
#include <nbl/cancel.h>
#include <nbl/info.h>

#include "unit/binding_fixture.h"

/* A packet of the adapter's pool. */
static struct nbl *new_packet(uint16_t type, uint32_t number)
{
	struct frame f;
	struct nbl *n;

	make_frame(&f, type, number);
	ck_assert_int_eq(nbl_pool_alloc_data(rig.lane.pool, rig.lane.pool, sizeof(f), &n), 0);
	memcpy(nbl_nb_data(n->first_nb), &f, sizeof(f));
	return n;
}

static struct nbl_chain packets(const uint16_t *types, uint32_t n, uint32_t first)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	for (uint32_t i = 0; i < n; i++)
		nbl_chain_append(&chain, new_packet(types[i], first + i));
	return chain;
}

static struct nbl_chain only(struct nbl *n)
{
	struct nbl_chain chain = NBL_CHAIN_EMPTY;

	nbl_chain_append(&chain, n);
	return chain;
}

static void free_chain(struct nbl_chain *chain)
{
	struct nbl *n;

	while ((n = nbl_chain_pop(chain)))
		ck_assert_int_eq(nbl_free(n), 0);
}

static void free_completed(struct receiver *r)
{
	free_chain(&r->completed);
}

START_TEST(SH_04_what_a_binding_sends_leaves_in_order_and_completes_to_it_alone)
{
	static const uint16_t types[] = { ARP, IPV4, ARP };
	struct receiver *a, *b;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(OTHER));
	b = open_receiver(1, 0, TYPES(OTHER));
	ck_assert_int_eq(nbl_binding_send(a->b, packets(types, 3, 10), 0), 0);
	ck_assert_int_eq(nbl_binding_send(b->b, packets(types, 1, 20), 0), 0);
	ck_assert_int_eq(nbl_binding_send(a->b, packets(types, 2, 13), 0), 0);
	ck_assert_int_eq(nbl_binding_close(a->b), -EBUSY);
	settle();
	ck_assert_uint_eq(left[NBL_UPPER].n, 0);
	ck_assert_uint_eq(left[NBL_LOWER].n, 6);
	for (uint32_t i = 0; i < 6; i++)
		ck_assert_uint_eq(left[NBL_LOWER].notes[i].number,
				  ((const uint32_t []){ 10, 11, 12, 20, 13, 14 })[i]);
	ck_assert_uint_eq(a->n_completed, 5);
	ck_assert_uint_eq(b->n_completed, 1);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SUCCESS);
	for (const struct nbl *n = a->completed.head; n; n = n->next)
		ck_assert_uint_eq(n->source_handle, a->b->handle);
	free_completed(a);
	free_completed(b);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(DM_07_a_send_that_fails_completes_with_the_status_that_says_why)
{
	struct receiver *a;
	struct nbl *n;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(OTHER));
	n = new_packet(ARP, 1);
	n->first_nb->data_length = 10;
	ck_assert_int_eq(nbl_binding_send(a->b, only(n), 0), 0);
	settle();
	ck_assert_uint_eq(a->n_completed, 1);
	ck_assert_int_eq(a->statuses[0], NBL_STATUS_INVALID_LENGTH);
	/* and can be sent again as it is its sender's again */
	n->first_nb->data_length = sizeof(struct frame);
	ck_assert_int_eq(nbl_binding_send(a->b, nbl_chain_take(&a->completed), 0), 0);
	settle();
	ck_assert_int_eq(a->statuses[1], NBL_STATUS_SUCCESS);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

enum not_to_send { RECEIVED, OF_ANOTHER, OF_A_MODULE, OUT_ALREADY, N_NOT_TO_SEND };

static void send_received(struct receiver *r, struct nbl_chain chain)
{
	ck_assert_int_eq(nbl_binding_send(r->b, chain, 0), -EPERM);
}

START_TEST(SH_04_what_is_not_its_own_to_send_is_refused_whole_and_counted)
{
	struct receiver *a, *b;
	struct nbl_chain chain;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(ARP));
	b = open_receiver(1, 0, TYPES(OTHER));
	chain = packets((const uint16_t []){ IPV4, IPV4 }, 2, 0);
	switch (_i) {
	case RECEIVED:
		a->look = send_received;
		deliver((const uint16_t []){ ARP }, 1, 0);
		break;
	case OF_ANOTHER:
		chain.tail->source_handle = b->b->handle;
		break;
	case OF_A_MODULE:
		chain.tail->source_handle = 1;
		break;
	case OUT_ALREADY:
		ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
		break;
	}
	if (_i != RECEIVED)
		ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), -EPERM);
	if (_i == OF_ANOTHER || _i == OF_A_MODULE)
		for (const struct nbl *n = chain.head; n; n = n->next)
			ck_assert_int_eq(n->status, NBL_STATUS_FAILURE);
	settle();
	ck_assert_uint_eq(left[NBL_LOWER].n, _i == OUT_ALREADY ? 2 : 0);
	ck_assert_uint_eq(a->n_completed, left[NBL_LOWER].n);
	if (_i != OUT_ALREADY)
		free_chain(&chain);
	free_completed(a);
	rig_check_with(&rig, 1);
	end_bindings();
}
END_TEST

START_TEST(TX_16_a_binding_without_send_complete_cannot_send)
{
	const struct nbl_binding_params params = { .name = "deaf", .receive = receiver_receive };
	struct nbl_binding *b;
	struct nbl_chain chain;

	begin_bindings(no_modules);
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &b), 0);
	chain = only(new_packet(ARP, 0));
	ck_assert_int_eq(nbl_binding_send(b, chain, 0), -EOPNOTSUPP);
	ck_assert_int_eq(chain.head->status, NBL_STATUS_FAILURE);
	ck_assert_int_eq(nbl_binding_close(b), 0);
	free_chain(&chain);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(FS_06_while_the_stack_pauses_nothing_is_sent_and_its_status_says_so)
{
	struct receiver *a;
	struct nbl_chain chain;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(OTHER));
	chain = packets((const uint16_t []){ ARP, ARP }, 2, 0);
	nbl_bindings_pause(bindings);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), -ESHUTDOWN);
	for (const struct nbl *n = chain.head; n; n = n->next)
		ck_assert_int_eq(n->status, NBL_STATUS_PAUSED);
	settle();
	ck_assert_uint_eq(left[NBL_LOWER].n, 0);
	nbl_bindings_restart(bindings);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	settle();
	ck_assert_uint_eq(left[NBL_LOWER].n, 2);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(RX_07_a_copy_it_was_given_may_be_sent_on_and_then_returned)
{
	struct receiver *a;

	begin_bindings(no_modules);
	a = open_receiver(0, NBL_BINDING_PENDS, TYPES(ARP));
	deliver((const uint16_t []){ ARP }, 1, 7);
	settle();
	ck_assert_int_eq(nbl_binding_send(a->b, nbl_chain_take(&a->kept), 0), 0);
	settle();
	ck_assert_uint_eq(left[NBL_LOWER].n, 1);
	ck_assert_uint_eq(left[NBL_LOWER].notes[0].number, 7);
	nbl_chain_join(&a->kept, &a->completed);
	return_kept(a);
	check_home();
	end_bindings();
}
END_TEST

/* ---- from other threads ---- */

#define N_SENT 2000

static void *send_many(void *arg)
{
	struct receiver *r = arg;
	uint32_t sent = 0;

	while (sent < N_SENT) {
		struct nbl *n;
		struct frame f;

		if (nbl_pool_alloc_data(rig.lane.pool, rig.lane.pool, sizeof(f), &n) < 0) {
			sched_yield();
			continue;
		}
		make_frame(&f, r == receivers ? IPV4 : IPV6, sent);
		memcpy(nbl_nb_data(n->first_nb), &f, sizeof(f));
		RIG_MUST(!nbl_binding_send(r->b, only(n), 0));
		sent++;
	}
	return NULL;
}

/* Frees what completed at once, so that the senders find frames. */
static void free_at_once(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct receiver *r = arg;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		r->n_completed += n->status == NBL_STATUS_SUCCESS;
		nbl_free(n);
	}
}

START_TEST(TX_04_what_two_threads_send_leaves_once_each_in_the_order_of_its_thread)
{
	struct nbl_binding_params params = { .name = "a", .receive = receiver_receive,
					     .send_complete = free_at_once };
	struct receiver *r = receivers;
	uint32_t next[2] = { 0, 0 };
	pthread_t threads[2];

	begin_bindings(no_modules);
	for (int i = 0; i < 2; i++) {
		params.name = i ? "b" : "a";
		params.arg = &r[i];
		ck_assert_int_eq(nbl_binding_open(bindings, &params, &r[i].b), 0);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, send_many, &r[i]), 0);
	}
	while (r[0].n_completed + r[1].n_completed < 2 * N_SENT) {
		rig_turn(&rig);
		run_kernel();
		sched_yield();
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	settle();
	ck_assert_uint_eq(left[NBL_LOWER].n, 2 * N_SENT);
	for (uint32_t i = 0; i < 2 * N_SENT; i++) {
		const struct note *n = &left[NBL_LOWER].notes[i];

		ck_assert_uint_eq(n->number, next[n->type == IPV6]++);
	}
	ck_assert_uint_eq(r[0].n_completed, N_SENT);
	ck_assert_uint_eq(r[1].n_completed, N_SENT);
	check_home();
	end_bindings();
}
END_TEST

/* ---- loopback ---- */

START_TEST(TX_14_without_the_flag_a_sender_sees_nothing_of_what_it_sends)
{
	struct receiver *a;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, NULL, 0);
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 3, 0), 0), 0);
	settle();
	ck_assert_uint_eq(a->n, 0);
	ck_assert_uint_eq(left[NBL_LOWER].n, 3);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 0);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

static void is_looped_clone(struct receiver *r, struct nbl_chain chain)
{
	for (const struct nbl *n = chain.head; n; n = n->next) {
		ck_assert(n->nbl_flags & NBL_FLAG_LOOPBACK);
		ck_assert_int_eq(n->kind, NBL_KIND_CLONE);
		ck_assert_ptr_null(n->first_nb->next);
		ck_assert_uint_eq(n->source_handle, r->b->handle);
	}
}

START_TEST(TX_14_what_is_not_sent_is_not_shown_to_its_sender)
{
	struct receiver *a;
	struct nbl *n;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, NULL, 0);
	n = new_packet(ARP, 1);
	n->first_nb->data_length = 10;
	ck_assert_int_eq(nbl_binding_send(a->b, only(n), NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	ck_assert_uint_eq(a->n_completed, 1);
	ck_assert_int_eq(a->statuses[0], NBL_STATUS_INVALID_LENGTH);
	ck_assert_uint_eq(a->n, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 0);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(DM_15_what_marks_a_bindings_send_is_the_engines_to_write)
{
	struct receiver *a;
	struct nbl *n;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(OTHER));
	n = new_packet(ARP, 1);
	ck_assert_int_eq(nbl_binding_send(a->b, only(n), 0), 0);
	/* as a module on its way may */
	ck_assert_int_eq(nbl_flags_write(n, ~NBL_FLAGS_OF_ENGINE, 0), 0);
	settle();
	ck_assert_uint_eq(a->n_completed, 1);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(TX_14_with_the_flag_its_sender_alone_sees_a_clone_of_each_of_its_types_once)
{
	struct receiver *a, *b, *c;

	begin_bindings(no_modules);
	a = open_receiver(0, _i ? NBL_BINDING_PENDS : 0, TYPES(ARP, IPV6));
	b = open_receiver(1, 0, NULL, 0);
	c = open_receiver(2, NBL_BINDING_PENDS, TYPES(ARP));
	a->look = is_looped_clone;
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 6, 0),
					  NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	saw(a, 0, NUMBERS(0, 1, 3, 4));
	ck_assert_uint_eq(b->n, 0);
	ck_assert_uint_eq(c->n, 0);
	ck_assert_uint_eq(left[NBL_LOWER].n, 6);
	ck_assert_uint_eq(left[NBL_UPPER].n, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 4);
	ck_assert_uint_eq(a->n_completed, 6);
	for (const struct nbl *n = a->completed.head; n; n = n->next)
		ck_assert(!(n->nbl_flags & NBL_FLAG_CHECK_FOR_LOOPBACK));
	/* sent again without the flag it is not looped again */
	ck_assert_int_eq(nbl_binding_send(a->b, nbl_chain_take(&a->completed), 0), 0);
	settle();
	ck_assert_uint_eq(a->n, 4);
	free_completed(a);
	return_kept(a);
	settle();
	check_home();
	end_bindings();
}
END_TEST

static struct nbl_segment segments[3];
static struct frame bytes[3];

/* One NBL of three packets, ARP, IPv4 and ARP, in memory of the test's own. */
static struct nbl *three_in_one(void)
{
	static struct nbl_nb nbs[3];
	struct nbl *n = nbl_pool_alloc(rig.lane.pool);

	ck_assert_ptr_nonnull(n);
	for (uint32_t i = 0; i < 3; i++) {
		make_frame(&bytes[i], i == 1 ? IPV4 : ARP, i);
		segments[i] = (struct nbl_segment){ .base = (uint8_t *)&bytes[i],
						    .length = sizeof(bytes[i]),
						    .frame = NBL_NO_FRAME };
		nbs[i] = (struct nbl_nb){ .next = i < 2 ? &nbs[i + 1] : NULL,
					  .first_segment = &segments[i],
					  .current_segment = &segments[i],
					  .data_length = sizeof(bytes[i]) };
	}
	n->first_nb = nbs;
	return n;
}

START_TEST(TX_14_of_an_nbl_of_several_packets_each_that_matches_is_an_nbl_of_its_own)
{
	struct receiver *a;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(ARP));
	a->look = is_looped_clone;
	ck_assert_int_eq(nbl_binding_send(a->b, only(three_in_one()),
					  NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	saw(a, ARP, NUMBERS(0, 2));
	ck_assert_uint_eq(left[NBL_LOWER].n, 3);
	ck_assert_uint_eq(a->n_completed, 1);
	a->completed.head->first_nb = &a->completed.head->nb;
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

/* A module in the way of sends. */
static struct {
	struct nbl_chain queued;
	struct nbl_filter *filter;
	uint32_t n_received, n_returned;
	bool loops, supplies;	/* queues; or changes the packet, so does the looping itself */
} sender;

static void supply_loopback(struct nbl_filter *f, struct nbl *n)
{
	struct nbl *clone;

	ck_assert(n->nbl_flags & NBL_FLAG_CHECK_FOR_LOOPBACK);
	nbl_nb_data(n->first_nb)[6] = 0xaa;	/* the source address */
	ck_assert_int_eq(nbl_flags_write(n, NBL_FLAG_CHECK_FOR_LOOPBACK, 0), 0);
	clone = nbl_alloc_clone(n, rig.lane.pool);
	ck_assert_ptr_nonnull(clone);
	ck_assert_int_eq(nbl_flags_write(clone, NBL_FLAG_LOOPBACK, NBL_FLAG_LOOPBACK), 0);
	nbl_filter_own(f, clone);
	f->held++;
	nbl_filter_indicate(f, only(clone), 0, 0);
}

static void sender_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	sender.filter = f;
	if (!sender.supplies) {
		nbl_chain_join(&sender.queued, &chain);
		return;
	}
	for (struct nbl *n = chain.head; n; n = n->next)
		supply_loopback(f, n);
	nbl_filter_send(f, chain, port, flags);
}

static void sender_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	nbl_filter_complete(f, chain);
}

static void sender_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			   uint32_t flags)
{
	sender.n_received += chain.n_nbls;
	nbl_filter_indicate(f, chain, port, flags);
}

static void sender_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	struct nbl_chain others = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&chain))) {
		sender.n_returned++;
		if (nbl_filter_is_own(f, n)) {
			f->held--;
			ck_assert_int_eq(nbl_free_clone(n), 0);
		} else {
			nbl_chain_append(&others, n);
		}
	}
	if (others.head)
		nbl_filter_return(f, others);
}

static void sender_cancel(struct nbl_filter *f, uint64_t id)
{
	struct nbl_chain kept = NBL_CHAIN_EMPTY, aborted = NBL_CHAIN_EMPTY;
	struct nbl *n;

	while ((n = nbl_chain_pop(&sender.queued))) {
		bool match = nbl_info_get(n, NBL_INFO_CANCEL_ID) == id;

		if (match)
			n->status = NBL_STATUS_SEND_ABORTED;
		nbl_chain_append(match ? &aborted : &kept, n);
	}
	sender.queued = kept;
	if (aborted.head)
		nbl_filter_complete(f, aborted);
}

static void sender_status(struct nbl_filter *f, const struct nbl_status_indication *s)
{
}

static const struct nbl_module sender_module = {
	.version = NBL_MODULE_VERSION, .size = sizeof(struct nbl_module), .name = "sender",
	.flags = NBL_MODULE_HOLDS | NBL_MODULE_QUEUES_SENDS, .receive = sender_receive,
	.receive_return = sender_return, .send = sender_send, .send_complete = sender_complete,
	.cancel_send = sender_cancel, .status = sender_status,
};

static const struct nbl_module *const only_sender[] = { &sender_module, NULL };

static void release_queued(void)
{
	struct nbl_lane *before = nbl_lane_enter(&rig.lane);

	if (sender.queued.head)
		nbl_filter_send(sender.filter, nbl_chain_take(&sender.queued), 0, 0);
	nbl_lane_publish_tx(&rig.lane);
	nbl_lane_enter(before);
}

START_TEST(TX_14_a_module_that_queues_a_send_keeps_its_wish_to_be_looped)
{
	struct receiver *a;

	begin_bindings(only_sender);
	a = open_receiver(0, 0, TYPES(ARP));
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 1, 0), NBL_SEND_CHECK_FOR_LOOPBACK),
			 0);
	ck_assert_int_eq(nbl_binding_send(a->b, packets(mixed, 1, 1), 0), 0);
	settle();
	ck_assert_uint_eq(a->n, 0);	/* it has not left yet */
	release_queued();
	settle();
	saw(a, ARP, NUMBERS(0));
	/* the clone came up through the module and went down through it */
	ck_assert_uint_eq(sender.n_received, 1);
	ck_assert_uint_eq(sender.n_returned, 1);
	ck_assert_uint_eq(left[NBL_LOWER].n, 2);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

static void has_new_address(struct receiver *r, struct nbl_chain chain)
{
	for (const struct nbl *n = chain.head; n; n = n->next)
		ck_assert_uint_eq(nbl_nb_data(n->first_nb)[6], 0xaa);
}

START_TEST(TX_17_a_module_that_changes_the_address_does_the_looping_itself_once)
{
	struct receiver *a, *b;

	begin_bindings(only_sender);
	sender.supplies = true;
	a = open_receiver(0, 0, TYPES(ARP));
	b = open_receiver(1, 0, TYPES(ARP));
	a->look = has_new_address;
	ck_assert_int_eq(nbl_binding_send(a->b, packets((const uint16_t []){ ARP, ARP }, 2, 0),
					  NBL_SEND_CHECK_FOR_LOOPBACK), 0);
	settle();
	saw(a, ARP, NUMBERS(0, 1));
	ck_assert_uint_eq(b->n, 0);
	ck_assert_uint_eq(rig.lane.figures.originated.looped, 0);
	ck_assert_uint_eq(left[NBL_UPPER].n, 0);
	ck_assert_uint_eq(left[NBL_LOWER].n, 2);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

/* ---- cancelling ---- */

static void tag(struct nbl_chain *chain, uint32_t which, uint64_t id)
{
	for (struct nbl *n = chain->head; n; n = n->next, which >>= 1)
		if (which & 1)
			ck_assert_int_eq(nbl_info_set(n, NBL_INFO_CANCEL_ID, id), 0);
}

static const uint16_t ten[10] = { IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4, IPV4 };

START_TEST(CN_02_of_ten_queued_the_four_tagged_are_aborted_and_the_others_sent)
{
	int mine = nbl_cancel_alloc_partial_id(), other = nbl_cancel_alloc_partial_id();
	uint64_t id = nbl_cancel_id(mine, 1);
	struct nbl_chain chain;
	struct receiver *a;

	begin_bindings(only_sender);
	a = open_receiver(0, 0, TYPES(OTHER));
	chain = packets(ten, 10, 0);
	tag(&chain, 0x0296, id);			/* 1, 2, 4, 7, 9: one too many */
	tag(&chain, 0x0200, nbl_cancel_id(other, 1));	/* of somebody else, the same number */
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	if (_i)		/* queued already, or still on the way */
		settle();
	nbl_binding_cancel(a->b, &rig.lane, id);
	ck_assert_uint_eq(a->n_completed, 4);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SEND_ABORTED);
	/* CN-05 */
	for (const struct nbl *n = a->completed.head; n; n = n->next)
		ck_assert_uint_eq(nbl_info_get(n, NBL_INFO_CANCEL_ID), 0);
	release_queued();
	settle();
	ck_assert_uint_eq(a->n_completed, 10);
	for (uint32_t i = 4; i < 10; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SUCCESS);
	ck_assert_uint_eq(left[NBL_LOWER].n, 6);
	for (uint32_t i = 0; i < 6; i++)
		ck_assert_uint_eq(left[NBL_LOWER].notes[i].number,
				  ((const uint32_t []){ 0, 3, 5, 6, 8, 9 })[i]);
	free_completed(a);
	check_home();
	end_bindings();
	nbl_cancel_free_partial_id(mine);
	nbl_cancel_free_partial_id(other);
}
END_TEST

START_TEST(CN_04_what_is_with_the_kernel_completes_as_sent)
{
	struct nbl_chain chain;
	struct receiver *a;

	begin_bindings(no_modules);
	a = open_receiver(0, 0, TYPES(OTHER));
	chain = packets(ten, 3, 0);
	tag(&chain, 7, 77);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	rig_turn(&rig);
	nbl_binding_cancel(a->b, &rig.lane, 77);
	ck_assert_uint_eq(a->n_completed, 0);
	settle();
	ck_assert_uint_eq(a->n_completed, 3);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SUCCESS);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(CN_05_an_nbl_sent_again_is_not_cancelled_by_its_id_of_before)
{
	struct nbl_chain chain;
	struct receiver *a;

	begin_bindings(only_sender);
	a = open_receiver(0, 0, TYPES(OTHER));
	chain = packets(ten, 1, 0);
	tag(&chain, 1, 77);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	settle();
	release_queued();
	settle();
	ck_assert_int_eq(nbl_binding_send(a->b, nbl_chain_take(&a->completed), 0), 0);
	settle();
	nbl_binding_cancel(a->b, &rig.lane, 77);
	ck_assert_uint_eq(a->n_completed, 1);
	release_queued();
	settle();
	ck_assert_int_eq(a->statuses[1], NBL_STATUS_SUCCESS);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

START_TEST(TX_13_what_waits_for_room_on_the_ring_can_be_cancelled)
{
	struct nbl_binding_params params = { .name = "a", .arg = receivers,
					     .receive = receiver_receive,
					     .send_complete = receiver_complete };
	const uint32_t room = 8, more = 6;
	struct receiver *a = receivers;
	struct nbl_chain chain;

	rig_make(&rig, RIG_SHAPE(.rings = { 16, 8, 16, 16 }));
	rig_up(&rig, no_modules, NBL_TAKEOVER_FRESH);
	ck_assert_int_eq(nbl_bindings_new(&rig.lane, 1, &bindings), 0);
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &a->b), 0);
	chain = packets(ten, 10, 0);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	chain = packets(ten, room + more - 10, 10);
	tag(&chain, ~0u, 5);
	ck_assert_int_eq(nbl_binding_send(a->b, chain, 0), 0);
	rig_turn(&rig);
	nbl_binding_cancel(a->b, &rig.lane, 5);
	rig_turn(&rig);
	ck_assert_uint_eq(a->n_completed, 4);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_int_eq(a->statuses[i], NBL_STATUS_SEND_ABORTED);
	run_kernel();
	rig_turn(&rig);
	nbl_lane_publish_tx(&rig.lane);
	settle();
	ck_assert_uint_eq(left[NBL_LOWER].n, 10);
	free_completed(a);
	check_home();
	end_bindings();
}
END_TEST

int main(void)
{
	const struct unit_test tests[] = {
		{ SH_04_what_a_binding_sends_leaves_in_order_and_completes_to_it_alone, 1 },
		{ DM_07_a_send_that_fails_completes_with_the_status_that_says_why, 1 },
		{ SH_04_what_is_not_its_own_to_send_is_refused_whole_and_counted, N_NOT_TO_SEND },
		{ TX_16_a_binding_without_send_complete_cannot_send, 1 },
		{ FS_06_while_the_stack_pauses_nothing_is_sent_and_its_status_says_so, 1 },
		{ RX_07_a_copy_it_was_given_may_be_sent_on_and_then_returned, 1 },
		{ TX_04_what_two_threads_send_leaves_once_each_in_the_order_of_its_thread, 1 },
		{ TX_14_without_the_flag_a_sender_sees_nothing_of_what_it_sends, 1 },
		{ TX_14_with_the_flag_its_sender_alone_sees_a_clone_of_each_of_its_types_once, 2 },
		{ TX_14_of_an_nbl_of_several_packets_each_that_matches_is_an_nbl_of_its_own, 1 },
		{ DM_15_what_marks_a_bindings_send_is_the_engines_to_write, 1 },
		{ TX_14_what_is_not_sent_is_not_shown_to_its_sender, 1 },
		{ TX_14_a_module_that_queues_a_send_keeps_its_wish_to_be_looped, 1 },
		{ TX_17_a_module_that_changes_the_address_does_the_looping_itself_once, 1 },
		{ CN_02_of_ten_queued_the_four_tagged_are_aborted_and_the_others_sent, 2 },
		{ CN_04_what_is_with_the_kernel_completes_as_sent, 1 },
		{ CN_05_an_nbl_sent_again_is_not_cancelled_by_its_id_of_before, 1 },
		{ TX_13_what_waits_for_room_on_the_ring_can_be_cancelled, 1 },
	};

	return rig_run("binding_send", tests, N_ELEMENTS(tests));
}
