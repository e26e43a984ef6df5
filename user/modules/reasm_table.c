// SPDX-License-Identifier: BSD-2-Clause
/*
 * reasm_table.c - the datagrams being put together: lookup, bounds, ages.
 *
 * Two lists by age: those that collect, and those that were dropped and only remember it.
 * Nothing here calls another module: what is dropped goes into a batch.
 */
#include <string.h>

#include <nbl/derive.h>

#include "modules/reasm.h"

/* ---- hashing ---- */

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint64_t reasm_hash(const struct reasm_key *key, const uint64_t seed[2])
{
	uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
			  seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573 };
	uint64_t words[sizeof(*key) / 8];

	memcpy(words, key, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		v[3] ^= words[i];
		sip_round(v);
		v[0] ^= words[i];
	}
	v[3] ^= (uint64_t)sizeof(*key) << 56;
	sip_round(v);
	v[0] ^= (uint64_t)sizeof(*key) << 56;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- lists ---- */

static uint16_t number_of(const struct reasm_lane *l, const struct reasm_datagram *d)
{
	return (uint16_t)(d - l->datagrams);
}

static struct reasm_list *list_of(struct reasm_lane *l, const struct reasm_datagram *d)
{
	return d->state == REASM_DEAD ? &l->dead : &l->collecting;
}

static void list_append(struct reasm_lane *l, struct reasm_datagram *d)
{
	struct reasm_list *list = list_of(l, d);
	uint16_t number = number_of(l, d);

	d->older = list->newest;
	d->newer = 0;
	if (list->newest)
		l->datagrams[list->newest].newer = number;
	else
		list->oldest = number;
	list->newest = number;
}

static void list_remove(struct reasm_lane *l, struct reasm_datagram *d)
{
	struct reasm_list *list = list_of(l, d);

	if (d->older)
		l->datagrams[d->older].newer = d->newer;
	else
		list->oldest = d->newer;
	if (d->newer)
		l->datagrams[d->newer].older = d->older;
	else
		list->newest = d->older;
}

static uint16_t *bucket_of(struct reasm_lane *l, const struct reasm *c, const struct reasm_key *key)
{
	return &l->buckets[reasm_hash(key, c->seed) % REASM_N_BUCKETS];
}

static void bucket_remove(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d)
{
	uint16_t *at = bucket_of(l, c, &d->key), number = number_of(l, d);

	while (*at != number)
		at = &l->datagrams[*at].next;
	*at = d->next;
}

struct reasm_datagram *reasm_find(struct reasm_lane *l, const struct reasm *c,
				  const struct reasm_key *key)
{
	for (uint16_t i = *bucket_of(l, c, key); i; i = l->datagrams[i].next)
		if (!memcmp(&l->datagrams[i].key, key, sizeof(*key)))
			return &l->datagrams[i];
	return NULL;
}

/* ---- ending ---- */

static void unlist(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d)
{
	bucket_remove(l, c, d);
	list_remove(l, d);
}

void reasm_take_off(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d)
{
	unlist(l, c, d);
	d->state = REASM_FLYING;
	l->n_flying++;
}

void reasm_close(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d)
{
	if (d->state == REASM_FLYING)
		l->n_flying--;
	else
		unlist(l, c, d);
	d->state = REASM_UNUSED;
	d->next = l->unused;
	l->unused = number_of(l, d);
	l->n_datagrams--;
}

static enum nbl_status status_for(enum reasm_reason reason)
{
	if (reason == REASM_CANCELLED)
		return NBL_STATUS_SEND_ABORTED;
	return reason == REASM_EVICTED || reason == REASM_LIMIT ? NBL_STATUS_RESOURCES
								: NBL_STATUS_FAILURE;
}

void reasm_refuse(struct reasm_lane *l, struct nbl *n, enum reasm_direction direction,
		  enum reasm_reason reason, struct reasm_batch *batch)
{
	n->status = status_for(reason);
	n->outcome = reason == REASM_EVICTED || reason == REASM_LIMIT ? NBL_OUTCOME_MODULE_LIMIT
								      : NBL_OUTCOME_RETURNED;
	l->figures.dropped[reason]++;
	nbl_chain_append(&batch->back[direction], n);
}

struct nbl_chain reasm_take_pieces(struct reasm_lane *l, struct reasm_datagram *d)
{
	struct nbl_chain pieces = nbl_chain_take(&d->pieces);

	for (struct nbl *n = pieces.head; n; n = n->next)
		nbl_dereference(n);
	l->figures.n_held -= pieces.n_nbls;
	l->figures.frames_held -= d->n_frames;
	d->n_frames = 0;
	return pieces;
}

static void drop_pieces(struct reasm_lane *l, struct reasm_datagram *d, enum reasm_reason reason,
			struct reasm_batch *batch)
{
	struct nbl_chain pieces = reasm_take_pieces(l, d);
	struct nbl *n;

	while ((n = nbl_chain_pop(&pieces)))
		reasm_refuse(l, n, reasm_direction_of(d), reason, batch);
	if (reason == REASM_EVICTED)
		l->figures.n_evicted++;
	if (reason == REASM_TIMEOUT)
		l->figures.n_timeouts++;
}

void reasm_drop(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d,
		enum reasm_reason reason, struct reasm_batch *batch)
{
	if (d->pieces.head)
		drop_pieces(l, d, reason, batch);
	reasm_close(l, c, d);
}

void reasm_kill(struct reasm_lane *l, const struct reasm *c, struct reasm_datagram *d,
		enum reasm_reason reason, uint64_t now_ns, struct reasm_batch *batch)
{
	drop_pieces(l, d, reason, batch);
	list_remove(l, d);
	d->state = REASM_DEAD;
	d->deadline_ns = now_ns + c->timeout_ns;
	list_append(l, d);
}

bool reasm_evict(struct reasm_lane *l, const struct reasm *c, struct reasm_batch *batch)
{
	if (!l->collecting.oldest)
		return false;
	reasm_drop(l, c, &l->datagrams[l->collecting.oldest], REASM_EVICTED, batch);
	return true;
}

/* ---- beginning ---- */

/* Keeps buckets short, whatever comes: the one that has been there longest goes. */
static void shorten_bucket(struct reasm_lane *l, const struct reasm *c, const struct reasm_key *key,
			   struct reasm_batch *batch)
{
	uint16_t last = 0;
	uint32_t n = 0;

	for (uint16_t i = *bucket_of(l, c, key); i; i = l->datagrams[i].next, n++)
		last = i;
	if (n >= REASM_MAX_CHAIN)
		reasm_drop(l, c, &l->datagrams[last], REASM_EVICTED, batch);
}

/* Makes a datagram unused, if all are used: one that only remembers first. */
static bool make_room(struct reasm_lane *l, const struct reasm *c, struct reasm_batch *batch)
{
	if (l->n_datagrams < c->max_datagrams)
		return true;
	if (!l->dead.oldest)
		return reasm_evict(l, c, batch);
	reasm_close(l, c, &l->datagrams[l->dead.oldest]);
	return true;
}

static struct reasm_datagram *take_unused(struct reasm_lane *l)
{
	uint16_t number = l->unused;

	if (number)
		l->unused = l->datagrams[number].next;
	else
		number = ++l->n_touched;
	l->n_datagrams++;
	return &l->datagrams[number];
}

struct reasm_datagram *reasm_open(struct reasm_lane *l, const struct reasm *c,
				  const struct reasm_key *key, uint64_t now_ns,
				  struct reasm_batch *batch)
{
	struct reasm_datagram *d;
	uint16_t *bucket;

	shorten_bucket(l, c, key, batch);
	if (!make_room(l, c, batch))
		return NULL;
	d = take_unused(l);
	*d = (struct reasm_datagram){ .key = *key, .state = REASM_COLLECTING,
				      .deadline_ns = now_ns + c->timeout_ns };
	bucket = bucket_of(l, c, key);
	d->next = *bucket;
	*bucket = number_of(l, d);
	list_append(l, d);
	l->figures.n_datagrams++;
	return d;
}

/* ---- time ---- */

static uint64_t deadline(const struct reasm_lane *l, uint16_t number)
{
	return number ? l->datagrams[number].deadline_ns : 0;
}

uint64_t reasm_next_deadline(const struct reasm_lane *l)
{
	uint64_t a = deadline(l, l->collecting.oldest), b = deadline(l, l->dead.oldest);

	return a && (!b || a < b) ? a : b;
}

uint64_t reasm_expire(struct reasm_lane *l, const struct reasm *c, uint64_t now_ns,
		      struct reasm_batch *batch)
{
	while (l->collecting.oldest && deadline(l, l->collecting.oldest) <= now_ns)
		reasm_drop(l, c, &l->datagrams[l->collecting.oldest], REASM_TIMEOUT, batch);
	while (l->dead.oldest && deadline(l, l->dead.oldest) <= now_ns)
		reasm_close(l, c, &l->datagrams[l->dead.oldest]);
	return reasm_next_deadline(l);
}
