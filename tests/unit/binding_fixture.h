/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * binding_fixture.h - bindings that note what they get, above a lane whose kernel is the test.
 *
 * Packets carry a frame type and a number of their own. What leaves the upper or the lower
 * port is noted in order.
 */
#ifndef BINDING_FIXTURE_H
#define BINDING_FIXTURE_H

#include <arpa/inet.h>

#include <nbl/parse.h>

#include "stack/binding.h"
#include "unit/lane_probe.h"

#define MAX_NOTES	512
#define MAX_LEFT	8192
#define ARP		0x0806
#define IPV4		0x0800
#define IPV6		0x86dd
#define OTHER		0x1234

RIG_UNUSED static const uint16_t mixed[12] = {
	ARP, IPV6, IPV4, ARP, IPV6, IPV4, ARP, IPV6, IPV4, ARP, IPV6, IPV4,
};

struct note {
	uint16_t type;
	uint32_t number;
	const struct nbl *nbl;
};

/* One binding of the test's. */
struct receiver {
	struct nbl_binding *b;
	struct note notes[MAX_NOTES];
	uint32_t n;			/* packets seen */
	uint32_t n_calls, n_lent;	/* calls; packets lent */
	uint32_t calls[MAX_NOTES];	/* packets of each */
	uint32_t flags[MAX_NOTES];
	struct nbl_chain kept;
	struct nbl_chain completed;
	uint32_t n_completed;
	int32_t statuses[MAX_NOTES];
	void (*look)(struct receiver *r, struct nbl_chain chain);	/* inside receive() */
};

static struct receiver receivers[4];
static struct nbl_bindings *bindings;
static struct nbl_pool *lane_pool;

struct frame {
	uint8_t macs[12];
	uint16_t type_be;
	uint8_t pad[2];
	uint32_t number;
	uint8_t body[44];
};

static struct note note_of(const struct nbl *n)
{
	struct frame f;

	memcpy(&f, nbl_nb_data(n->first_nb), sizeof(f));
	return (struct note){ ntohs(f.type_be), f.number, n };
}

static void note_chain(struct receiver *r, struct nbl_chain chain, uint32_t flags)
{
	uint32_t n = 0;

	/* RX-01, PT-07 */
	ck_assert(nbl_chain_is_sound(&chain));
	r->flags[r->n_calls] = flags;
	r->calls[r->n_calls++] = chain.n_nbls;
	for (struct nbl *nbl = chain.head; nbl; nbl = nbl->next, n++) {
		ck_assert_uint_lt(r->n, MAX_NOTES);
		r->notes[r->n++] = note_of(nbl);
	}
	if (flags & NBL_RECEIVE_RESOURCES)
		r->n_lent += n;
}

static void receiver_receive(void *arg, struct nbl_lane *lane, struct nbl_chain chain,
			     uint32_t port, uint32_t flags)
{
	struct receiver *r = arg;

	ck_assert_ptr_eq(lane, &rig.lane);
	ck_assert_uint_eq(port, 0);
	note_chain(r, chain, flags);
	if (r->look)
		r->look(r, chain);
	if (!(flags & NBL_RECEIVE_RESOURCES))
		nbl_chain_join(&r->kept, &chain);
}

static void receiver_complete(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct receiver *r = arg;

	ck_assert_ptr_eq(lane, &rig.lane);
	ck_assert(nbl_chain_is_sound(&chain));
	for (struct nbl *n = chain.head; n; n = n->next)
		r->statuses[r->n_completed++] = n->status;
	nbl_chain_join(&r->completed, &chain);
}

RIG_UNUSED static struct receiver *open_receiver(int i, uint32_t flags, const uint16_t *types,
						 uint32_t n_types)
{
	static const char *const names[] = { "first", "second", "third", "fourth" };
	const struct nbl_binding_params params = {
		.name = names[i], .flags = flags, .types = types, .n_types = n_types,
		.arg = &receivers[i], .receive = receiver_receive,
		.send_complete = receiver_complete,
	};

	receivers[i] = (struct receiver){ .b = NULL };
	ck_assert_int_eq(nbl_binding_open(bindings, &params, &receivers[i].b), 0);
	return &receivers[i];
}

#define TYPES(...) \
	(const uint16_t []){ __VA_ARGS__ }, N_ELEMENTS(((const uint16_t []){ __VA_ARGS__ }))

RIG_UNUSED static void begin_bindings(const struct nbl_module *const *modules)
{
	rig_make(&rig, RIG_SHAPE(0));
	rig_prepare(&rig, modules);
	if (!rig.lane.pool)
		ck_assert_int_eq(nbl_lanes_make_pool(&rig.lane, 1, &rig.memory, NBL_TAKEOVER_FRESH,
						     &lane_pool), 0);
	nbl_lane_adopt(&rig.lane, NBL_TAKEOVER_FRESH);
	rig_turn(&rig);
	ck_assert_int_eq(nbl_bindings_new(&rig.lane, 1, &bindings), 0);
}

RIG_UNUSED static void close_receiver(struct receiver *r)
{
	if (r->b)
		ck_assert_int_eq(nbl_binding_close(r->b), 0);
	r->b = NULL;
}

RIG_UNUSED static void end_bindings(void)
{
	for (size_t i = 0; i < N_ELEMENTS(receivers); i++)
		close_receiver(&receivers[i]);
	ck_assert_int_eq(nbl_bindings_free(bindings), 0);
	ck_assert_ptr_null(rig.lane.bindings);
	rig_down(&rig);
	if (lane_pool)
		ck_assert_int_eq(nbl_pool_free(lane_pool), 0);
	lane_pool = NULL;
	rig_free(&rig);
}

static void make_frame(struct frame *f, uint16_t type, uint32_t number)
{
	memset(f, (int)number, sizeof(*f));
	f->type_be = htons(type);
	f->number = number;
}

/* Delivers packets of these types, numbered from 'first'. */
RIG_UNUSED static void deliver(const uint16_t *types, uint32_t n, uint32_t first)
{
	for (uint32_t i = 0; i < n; i++) {
		struct frame f;

		make_frame(&f, types[i], first + i);
		ck_assert(nbl_mem_port_deliver(rig.ports[0], &f, sizeof(f)));
	}
}

/* What left by a port, in order. */
static struct {
	struct note notes[MAX_LEFT];
	uint32_t n;
} left[NBL_N_SIDES];

/* Takes and completes what was sent; queue 0 is the lower port's, 1 the upper's. */
RIG_UNUSED static uint32_t run_kernel(void)
{
	struct nbl_mem_packet packet;
	uint32_t moved = 0;

	for (int side = 0; side < NBL_N_SIDES; side++) {
		while (nbl_mem_port_take(rig.ports[side], &packet)) {
			struct frame f;

			memcpy(&f, packet.bytes, sizeof(f));
			ck_assert_uint_lt(left[side].n, MAX_LEFT);
			left[side].notes[left[side].n++] =
				(struct note){ ntohs(f.type_be), f.number, NULL };
			moved++;
		}
		moved += nbl_mem_port_complete(rig.ports[side], UINT32_MAX);
	}
	return moved;
}

RIG_UNUSED static void settle(void)
{
	for (int i = 0; i < 100; i++) {
		uint32_t moved = rig_turn(&rig);

		if (!(moved + run_kernel()))
			return;
	}
	ck_abort_msg("it does not settle");
}

/* What 'r' saw is what is given: types with their numbers. */
RIG_UNUSED static void saw(const struct receiver *r, uint16_t type, const uint32_t *numbers,
			   uint32_t n)
{
	ck_assert_uint_eq(r->n, n);
	for (uint32_t i = 0; i < n; i++) {
		if (type)
			ck_assert_uint_eq(r->notes[i].type, type);
		ck_assert_uint_eq(r->notes[i].number, numbers[i]);
	}
}

#define NUMBERS(...) \
	(const uint32_t []){ __VA_ARGS__ }, N_ELEMENTS(((const uint32_t []){ __VA_ARGS__ }))

/* All received packets are home, nothing is out. */
RIG_UNUSED static void check_home(void)
{
	struct nbl_pool_counts counts;

	nbl_lane_publish(&rig.lane);
	rig_check(&rig);
	ck_assert_uint_eq(nbl_figures_in_flight(&rig.lane.figures), 0);
	ck_assert_uint_eq(rig_lost_frames(&rig), 0);
	nbl_pool_get_counts(rig.lane.pool, &counts);
	ck_assert_uint_eq(counts.nbls_free, counts.n_nbls);
	ck_assert_uint_eq(counts.frames_free, counts.n_frames);
}

RIG_UNUSED static void return_kept(struct receiver *r)
{
	struct nbl_lane *before = nbl_lane_enter(&rig.lane);

	nbl_binding_return(r->b, &rig.lane, nbl_chain_take(&r->kept));
	nbl_lane_enter(before);
}

#endif
