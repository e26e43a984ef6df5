/* SPDX-License-Identifier: BSD-2-Clause */
/* test_binding_send.c - what bindings may send, in which order it leaves, how it completes. */
#include <nbl/info.h>

#include "unit/binding_sends.h"

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

int main(void)
{
	const struct unit_test tests[] = {
		{ DM_15_what_marks_a_bindings_send_is_the_engines_to_write, 1 },
		{ SH_04_what_a_binding_sends_leaves_in_order_and_completes_to_it_alone, 1 },
		{ DM_07_a_send_that_fails_completes_with_the_status_that_says_why, 1 },
		{ SH_04_what_is_not_its_own_to_send_is_refused_whole_and_counted, N_NOT_TO_SEND },
		{ TX_16_a_binding_without_send_complete_cannot_send, 1 },
		{ FS_06_while_the_stack_pauses_nothing_is_sent_and_its_status_says_so, 1 },
		{ RX_07_a_copy_it_was_given_may_be_sent_on_and_then_returned, 1 },
		{ TX_04_what_two_threads_send_leaves_once_each_in_the_order_of_its_thread, 1 },
	};

	return rig_run("binding_send", tests, N_ELEMENTS(tests));
}
