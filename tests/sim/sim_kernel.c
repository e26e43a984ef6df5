/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_kernel.c - the other side of the rings. */
#include "sim/sim_kernel.h"

#include <errno.h>
#include <string.h>

#define NEED_WAKEUP	1u
#define POISON		0xfeedfacecafef00dull	/* in frames that wait for a packet */
#define SHORTEST	14

static uint32_t shift_of(const struct sim_kernel *k)
{
	return (uint32_t)__builtin_ctz(k->memory->shape.frame_size);
}

static uint8_t *bytes_at(const struct sim_kernel *k, uint64_t address)
{
	return k->memory->frames + address;
}

/* ---- making ---- */

static void place_ring(struct sim_queue *q, int i, struct nbl_ring *r, void *entries, uint32_t size,
		       uint32_t start)
{
	q->words[i][0] = q->words[i][1] = start;
	q->words[i][2] = 0;
	*r = (struct nbl_ring){ .producer = &q->words[i][0], .consumer = &q->words[i][1],
				.flags = &q->words[i][2], .entries = entries, .size = size };
}

static uint32_t ring_size(struct sim_random *r)
{
	return 8u << sim_below(r, 4);
}

static void begin_queue(struct sim_kernel *k, uint32_t i, uint32_t start)
{
	struct sim_queue *q = &k->queues[i];

	memset(q, 0, sizeof(*q));
	place_ring(q, 0, &q->rx, q->rx_entries, ring_size(&k->random), start);
	place_ring(q, 1, &q->tx, q->tx_entries, ring_size(&k->random) / 2, start);
	place_ring(q, 2, &q->fill, q->fill_entries, ring_size(&k->random), start);
	place_ring(q, 3, &q->completion, q->completion_entries, ring_size(&k->random), start);
	q->rx_back = q->tx_seen = q->fill_seen = q->completion_back = start;
	q->zero_copy = sim_once_in(&k->random, 3);
	*q->tx.flags = q->zero_copy && sim_once_in(&k->random, 4) ? 0 : NEED_WAKEUP;
	*q->fill.flags = q->zero_copy ? NEED_WAKEUP : 0;
	q->n_frames = k->memory->shape.frames_per_queue;
	q->first_frame = i * q->n_frames;
}

void sim_kernel_begin(struct sim_kernel *k, uint64_t seed, uint32_t n_queues)
{
	uint32_t n_frames = nbl_memory_n_frames(&k->memory->shape);

	k->random = sim_random(seed);
	k->n_queues = n_queues;
	k->counts = (struct sim_counts){ 0 };
	k->is_quiet = false;
	memset(k->places, SIM_OURS, n_frames);
	k->has_lied = false;
	memset(k->sends, 0, n_frames * sizeof(k->sends[0]));
	for (uint32_t i = 0; i < n_queues; i++)
		begin_queue(k, i, sim_once_in(&k->random, 4) ? 0xfffffff0u : 0);
}

/* ---- looking ---- */

static void broke(struct sim_kernel *k, int invariant, const char *what)
{
	k->ops->broke(k->arg, invariant, what);
}

static void look_at_given_back(struct sim_kernel *k, struct sim_queue *q)
{
	for (; q->rx_back != *q->rx.consumer; q->rx_back++) {
		uint64_t frame = q->rx_entries[q->rx_back & (q->rx.size - 1)].addr >> shift_of(k);

		if (frame < k->memory->ledger.n_frames && k->places[frame] == SIM_RX)
			k->places[frame] = SIM_OURS;
	}
	for (; q->completion_back != *q->completion.consumer; q->completion_back++) {
		uint32_t slot = q->completion_back & (q->completion.size - 1);
		uint64_t frame = q->completion_entries[slot] >> shift_of(k);

		if (frame < k->memory->ledger.n_frames && k->sends[frame])
			k->sends[frame]--;
	}
}

static void look_at_fill(struct sim_kernel *k, struct sim_queue *q)
{
	const uint64_t poison = POISON;

	for (; q->fill_seen != *q->fill.producer; q->fill_seen++) {
		uint64_t address = q->fill_entries[q->fill_seen & (q->fill.size - 1)];
		uint64_t frame = address >> shift_of(k);

		if (frame - q->first_frame >= q->n_frames ||
		    address & (k->memory->shape.frame_size - 1)) {
			broke(k, 1, "a frame that is not the queue's is in its fill ring");
			return;
		}
		if (k->places[frame] != SIM_OURS || k->sends[frame]) {
			broke(k, 1, "a frame the kernel has is in the fill ring");
			return;
		}
		k->ops->posted(k->arg, (uint32_t)frame);
		k->places[frame] = SIM_FILL;
		memcpy(bytes_at(k, address + SIM_HEADROOM), &poison, sizeof(poison));
	}
}

static void look_at_tx(struct sim_kernel *k, struct sim_queue *q)
{
	for (; q->tx_seen != *q->tx.producer; q->tx_seen++) {
		const struct xdp_desc *desc = &q->tx_entries[q->tx_seen & (q->tx.size - 1)];
		uint64_t frame = desc->addr >> shift_of(k);
		uint64_t offset = desc->addr & (k->memory->shape.frame_size - 1);

		if (frame >= k->memory->ledger.n_frames ||
		    offset + desc->len > k->memory->shape.frame_size || desc->len < SHORTEST) {
			broke(k, 1, "an invalid descriptor is in the tx ring");
			return;
		}
		/* it may be in a burst whose entries are not given back yet */
		if (k->places[frame] != SIM_OURS && k->places[frame] != SIM_RX) {
			broke(k, 1, "a frame the kernel has is in the tx ring");
			return;
		}
		q->tx_digests[q->tx_seen & (q->tx.size - 1)] =
			sim_digest(bytes_at(k, desc->addr), desc->len, 0);
		k->ops->sent(k->arg, (uint32_t)frame, bytes_at(k, desc->addr), desc->len);
		k->sends[frame]++;
	}
}

void sim_kernel_look(struct sim_kernel *k)
{
	for (uint32_t i = 0; i < k->n_queues; i++)
		look_at_given_back(k, &k->queues[i]);
	for (uint32_t i = 0; i < k->n_queues; i++) {
		look_at_fill(k, &k->queues[i]);
		look_at_tx(k, &k->queues[i]);
	}
}

/* ---- receiving ---- */

/* The driver takes up to 'n' frames off the fill ring. */
static void take_fill(struct sim_queue *q, struct sim_kernel *k, uint32_t n)
{
	while (n-- && q->n_driver < SIM_MAX_RING && *q->fill.consumer != q->fill_seen) {
		uint64_t address = q->fill_entries[*q->fill.consumer & (q->fill.size - 1)];
		uint32_t frame = (uint32_t)(address >> shift_of(k));

		q->driver[q->n_driver++] = frame;
		k->places[frame] = SIM_DRIVER;
		++*q->fill.consumer;
	}
}

static uint32_t random_length(struct sim_random *r)
{
	switch (sim_below(r, 16)) {
	case 0: return 1 + sim_below(r, 20);
	case 1: return 1400 + sim_below(r, 130);
	case 2: return 14 + sim_below(r, 1500);
	default: return 60 + sim_below(r, 70);
	}
}

static void write_packet(struct sim_kernel *k, uint8_t *at, uint32_t length)
{
	static const uint8_t types[][2] = { { 8, 0 }, { 0x86, 0xdd }, { 8, 6 }, { 0x81, 0 } };
	uint64_t word = sim_next(&k->random);

	for (uint32_t i = 0; i < length; i += 8, word = word * 0x5851f42d4c957f2dull + 1)
		memcpy(at + i, &word, length - i < 8 ? length - i : 8);
	if (length >= SHORTEST)
		memcpy(at + 12, types[word >> 62], 2);
}

static void put_rx(struct sim_queue *q, uint64_t address, uint32_t length)
{
	uint32_t slot = *q->rx.producer & (q->rx.size - 1);

	q->rx_entries[slot] = (struct xdp_desc){ .addr = address, .len = length };
	++*q->rx.producer;
}

static void deliver_one(struct sim_kernel *k, struct sim_queue *q)
{
	uint32_t at = q->zero_copy ? sim_below(&k->random, q->n_driver) : 0;
	uint32_t frame = q->driver[at], length = random_length(&k->random);
	uint64_t address = ((uint64_t)frame << shift_of(k)) + SIM_HEADROOM;
	uint64_t poison;

	memmove(&q->driver[at], &q->driver[at + 1], (--q->n_driver - at) * sizeof(q->driver[0]));
	memcpy(&poison, bytes_at(k, address), sizeof(poison));
	if (poison != POISON)
		broke(k, 9, "a frame was written to while the kernel had it");
	write_packet(k, bytes_at(k, address), length);
	k->digests[frame] = sim_digest(bytes_at(k, address), length, 0);
	k->lengths[frame] = length;
	k->places[frame] = SIM_RX;
	put_rx(q, address, length);
	k->counts.delivered++;
}

uint32_t sim_kernel_deliver(struct sim_kernel *k, uint32_t i, uint32_t n)
{
	struct sim_queue *q = &k->queues[i];
	uint32_t done = 0;

	if (q->down || k->is_quiet)
		return 0;
	for (; done < n; done++) {
		if (!q->n_driver)
			take_fill(q, k, 1);
		if (!q->n_driver || nbl_ring_used(&q->rx) == q->rx.size)
			break;
		deliver_one(k, q);
	}
	k->counts.starved += n - done;
	return done;
}

/* ---- sending ---- */

/* Takes up to 'n' packets off the tx ring, with a place for each completion. Returns how many. */
static uint32_t take_tx(struct sim_queue *q, uint32_t n)
{
	uint32_t done = 0;

	while (done < n && *q->tx.consumer != q->tx_seen &&
	       q->n_sending + nbl_ring_used(&q->completion) < q->completion.size) {
		uint32_t slot = *q->tx.consumer & (q->tx.size - 1);

		q->sending[q->n_sending++] = (struct sim_sending){ q->tx_entries[slot],
								   q->tx_digests[slot] };
		++*q->tx.consumer;
		done++;
	}
	return done;
}

/*
 * Which is done next: any, but of one frame's the oldest, for a
 * completion tells them apart by nothing else.
 */
static uint32_t next_done(struct sim_kernel *k, const struct sim_queue *q)
{
	uint32_t at = q->zero_copy ? sim_below(&k->random, q->n_sending) : 0, first = 0;

	while (q->sending[first].desc.addr >> shift_of(k) != q->sending[at].desc.addr >>
	       shift_of(k))
		first++;
	return first;
}

static uint32_t complete(struct sim_kernel *k, struct sim_queue *q, uint32_t n)
{
	uint32_t done = 0;

	while (done < n && q->n_sending) {
		uint32_t at = next_done(k, q);
		struct xdp_desc desc = q->sending[at].desc;
		uint64_t digest = q->sending[at].digest;

		memmove(&q->sending[at], &q->sending[at + 1],
			(--q->n_sending - at) * sizeof(q->sending[0]));
		if (sim_digest(bytes_at(k, desc.addr), desc.len, 0) != digest)
			broke(k, 9, "a packet was changed while it was being sent");
		q->completion_entries[*q->completion.producer & (q->completion.size - 1)] =
			desc.addr;
		++*q->completion.producer;
		k->counts.sent++;
		done++;
	}
	return done;
}

uint32_t sim_kernel_drain(struct sim_kernel *k)
{
	uint32_t moved = 0;

	sim_kernel_look(k);
	for (uint32_t i = 0; i < k->n_queues; i++) {
		k->queues[i].down = k->queues[i].gone = false;
		moved += take_tx(&k->queues[i], UINT32_MAX);
		moved += complete(k, &k->queues[i], UINT32_MAX);
	}
	return moved;
}

/* ---- by itself ---- */

void sim_kernel_step(struct sim_kernel *k)
{
	struct sim_queue *q = &k->queues[sim_below(&k->random, k->n_queues)];
	uint32_t n = 1 + sim_below(&k->random, sim_once_in(&k->random, 4) ? 64 : 6);

	sim_kernel_look(k);
	switch (sim_below(&k->random, 16)) {
	case 0 ... 3:
		sim_kernel_deliver(k, (uint32_t)(q - k->queues), n);
		break;
	case 4:
		if (q->zero_copy)
			take_fill(q, k, n);
		break;
	case 5 ... 7:
		/* without a kick only a device of its own takes packets */
		if (!q->down && (q->zero_copy || k->is_quiet))
			take_tx(q, n);
		break;
	case 8 ... 12:
		complete(k, q, n);
		break;
	case 13:
		if (sim_once_in(&k->random, 8))
			q->down = !q->down && !k->is_quiet;
		q->gone = q->down && sim_once_in(&k->random, 3);
		break;
	default:
		if (k->lies && !k->is_quiet)
			sim_kernel_lie(k);
		break;
	}
}

/* ---- lies ---- */

static bool has_rx_room(const struct sim_queue *q, uint32_t n)
{
	return nbl_ring_used(&q->rx) + n <= q->rx.size;
}

static bool has_completion_room(const struct sim_queue *q, uint32_t n)
{
	return nbl_ring_used(&q->completion) + q->n_sending + n <= q->completion.size;
}

static void put_completion(struct sim_queue *q, uint64_t address)
{
	q->completion_entries[*q->completion.producer & (q->completion.size - 1)] = address;
	++*q->completion.producer;
}

/* A packet twice, at once: later its frame may have been posted again, and the lie be true. */
static bool deliver_twice(struct sim_kernel *k, struct sim_queue *q)
{
	uint32_t slot = *q->rx.producer & (q->rx.size - 1);

	if (k->is_within || !has_rx_room(q, 2) ||
	    !sim_kernel_deliver(k, (uint32_t)(q - k->queues), 1))
		return false;
	put_rx(q, q->rx_entries[slot].addr, q->rx_entries[slot].len);
	return true;
}

/* A completion twice; not of a frame that is being sent twice. */
static bool complete_twice(struct sim_kernel *k, struct sim_queue *q)
{
	uint32_t slot = *q->completion.producer & (q->completion.size - 1);
	uint64_t address;

	/*
	 * nor while the lane may have looked how many there
	 * are: it would read one now and one later
	 */
	if (k->is_within || !q->n_sending || !has_completion_room(q, 1))
		return false;
	complete(k, q, 1);
	address = q->completion_entries[slot];
	if (k->sends[address >> shift_of(k)] != 1)
		return false;
	put_completion(q, address);
	k->has_lied = true;
	return true;
}

/* Only lies that can be told from the truth. */
bool sim_kernel_lie(struct sim_kernel *k)
{
	struct sim_queue *q = &k->queues[sim_below(&k->random, k->n_queues)];
	uint64_t frame = q->first_frame + sim_below(&k->random, q->n_frames);
	bool told = false;

	switch (sim_below(&k->random, 6)) {
	case 0:		/* a packet longer than its frame */
		told = has_rx_room(q, 1);
		if (told)
			put_rx(q, (frame << shift_of(k)) + SIM_HEADROOM,
			       k->memory->shape.frame_size);
		break;
	case 1:		/* a packet beyond all frames */
		told = has_rx_room(q, 1);
		if (told)
			put_rx(q, sim_next(&k->random) | 1ull << 40, 64);
		break;
	case 2:
		told = has_completion_room(q, 1);
		if (told)
			put_completion(q, sim_next(&k->random) | 1ull << 40);
		break;
	case 3:
		told = deliver_twice(k, q);
		break;
	case 4:
		told = complete_twice(k, q);
		break;
	default:
		break;
	}
	k->counts.lies += told;
	return told;
}

/* ---- our side ---- */

struct sim_call {
	struct sim_kernel *k;
	struct sim_queue *q;
};

static struct sim_call call_of(const struct nbl_queue *q)
{
	return (struct sim_call){ q->mapping[0], q->mapping[1] };
}

static int kick(struct nbl_queue *queue)
{
	struct sim_call c = call_of(queue);
	uint32_t taken;

	c.k->counts.kicks++;
	sim_kernel_look(c.k);
	if (c.q->down)
		return c.q->gone ? -ENXIO : -ENETDOWN;
	if (c.k->is_quiet || sim_once_in(&c.k->random, 2)) {
		take_tx(c.q, UINT32_MAX);
		complete(c.k, c.q, sim_below(&c.k->random, 8));
		return 0;
	}
	taken = take_tx(c.q, 1 + sim_below(&c.k->random, 4));
	complete(c.k, c.q, sim_below(&c.k->random, 4));
	return taken && sim_once_in(&c.k->random, 4) ? -EBUSY : -EAGAIN;
}

static void wake_fill(struct nbl_queue *queue)
{
	struct sim_call c = call_of(queue);

	sim_kernel_look(c.k);
	if (sim_once_in(&c.k->random, 2))
		take_fill(c.q, c.k, 4);
}

static void close_queue(struct nbl_queue *queue)
{
	queue->mapping[0] = NULL;
}

static const struct nbl_queue_ops sim_ops = {
	.kick = kick, .wake_fill = wake_fill, .close = close_queue,
};

void sim_kernel_adopt(struct sim_kernel *k, uint32_t i, enum nbl_side side, struct nbl_queue *ret)
{
	struct sim_queue *q = &k->queues[i];

	*ret = (struct nbl_queue){
		.ops = &sim_ops, .fd = -1, .side = (uint8_t)side, .number = (uint16_t)i,
		.index = (uint16_t)i, .max_length = 1514, .to_host = side == NBL_UPPER,
		.mapping = { k, q },
	};
	nbl_consumer_adopt(&ret->rx, &q->rx);
	nbl_producer_adopt(&ret->tx, &q->tx);
	nbl_producer_adopt(&ret->fill, &q->fill);
	nbl_consumer_adopt(&ret->completion, &q->completion);
}
