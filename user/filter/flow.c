// SPDX-License-Identifier: BSD-2-Clause
/* flow.c - contexts of callouts on flows. */
#include "filter/wfp_internal.h"

#include <sched.h>
#include <stdlib.h>

#define STATE_FREE 0u
#define STATE_USED 1u
#define STATE_ENDED 2u		/* its callout is still to be told */
#define STATE_TELLING 3u

#define LANE_SPINS 1024		/* a lane gives up then */

/* ---- keys ---- */

struct key {
	uint64_t words[5];
};

struct end {
	uint8_t address[16];
	uint16_t port;
};

static int compare_ends(const struct end *a, const struct end *b)
{
	int r = memcmp(a->address, b->address, sizeof(a->address));

	return r ? r : (a->port > b->port) - (a->port < b->port);
}

/* Both directions have the same key. False for what is not of a flow. */
static bool key_of(const struct wfp_packet *p, struct key *key)
{
	const struct nbl_values *v = &p->values;
	struct end a = { .port = v->port_source }, b = { .port = v->port_destination }, *low = &a,
		   *high = &b;

	if (!(v->present & NBL_FIELD_BIT(NBL_FIELD_IP_PROTOCOL)) ||
	    v->ip_fragment == NBL_FRAGMENT_LATER)
		return false;
	memcpy(a.address, v->ip_source, 16);
	memcpy(b.address, v->ip_destination, 16);
	if (compare_ends(&a, &b) > 0) {
		low = &b;
		high = &a;
	}
	memcpy(&key->words[0], low->address, 16);
	memcpy(&key->words[2], high->address, 16);
	key->words[4] = (uint64_t)low->port << 48 | (uint64_t)high->port << 32 |
			(uint64_t)v->ip_version << 8 | v->ip_protocol;
	return true;
}

static uint32_t hash(const struct key *key)
{
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (int i = 0; i < 5; i++) {
		h ^= key->words[i];
		h *= 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	/* the last word's upper bits, a port, are not yet in the lower ones */
	h *= 0xc4ceb9fe1a85ec53ull;
	return (uint32_t)(h ^ h >> 32);
}

static bool has_key(const struct wfp_flow *flow, const struct key *key)
{
	for (int i = 0; i < 5; i++) {
		if (wfp_read(&flow->key[i]) != key->words[i])
			return false;
	}
	return true;
}

static uint64_t owner_of(uint32_t id, enum nbl_layer layer, uint32_t state)
{
	return (uint64_t)id << 32 | (uint64_t)layer << 8 | state;
}

/* ---- buckets ---- */

int wfp_flows_init(struct wfp_flows *f, uint32_t n_flows)
{
	uint32_t n = 1;

	if (!n_flows)
		return 0;
	while (n * WFP_FLOW_WAYS < n_flows)
		n *= 2;
	f->buckets = calloc(n, sizeof(*f->buckets));
	if (!f->buckets)
		return -ENOMEM;
	f->n_buckets = n;
	return 0;
}

void wfp_flows_done(struct wfp_flows *f)
{
	free(f->buckets);
}

static bool bucket_try_lock(struct wfp_flow_bucket *b)
{
	for (int i = 0; i < LANE_SPINS; i++) {
		if (!atomic_exchange_explicit(&b->locked, true, memory_order_acquire))
			return true;
	}
	return false;
}

static void bucket_lock(struct wfp_flow_bucket *b)
{
	while (!bucket_try_lock(b))
		sched_yield();
}

static void bucket_unlock(struct wfp_flow_bucket *b)
{
	atomic_store_explicit(&b->locked, false, memory_order_release);
}

static struct wfp_flow *bucket_find(struct wfp_flow_bucket *b, const struct key *key)
{
	for (int i = 0; i < WFP_FLOW_WAYS; i++) {
		struct wfp_flow *flow = &b->flows[i];

		/* who sees the id sees the key, which stays while anyone may look */
		if (atomic_load_explicit(&flow->id, memory_order_acquire) && has_key(flow, key))
			return flow;
	}
	return NULL;
}

struct wfp_flow *wfp_flow_find(struct nbl_wfp *wfp, const struct wfp_packet *p, uint64_t now_ns)
{
	struct wfp_flow *flow;
	struct key key;

	if (NBL_LIKELY(!wfp_read(&wfp->flows.n_flows)) || !key_of(p, &key))
		return NULL;
	flow = bucket_find(&wfp->flows.buckets[hash(&key) & (wfp->flows.n_buckets - 1)], &key);
	if (flow)
		atomic_store_explicit(&flow->last_ns, now_ns, memory_order_relaxed);
	return flow;
}

uint64_t wfp_flow_context(const struct wfp_flow *flow, uint32_t id, enum nbl_layer layer)
{
	uint64_t owner = owner_of(id, layer, STATE_USED);

	for (int i = 0; i < WFP_FLOW_CONTEXTS; i++) {
		const struct wfp_flow_context *c = &flow->contexts[i];

		if (atomic_load_explicit(&c->owner, memory_order_acquire) == owner)
			return wfp_read(&c->context);
	}
	return 0;
}

/* ---- adding ---- */

static struct wfp_flow *flow_new(struct nbl_wfp *wfp, struct wfp_flow_bucket *b,
				 const struct key *key, uint64_t now_ns)
{
	uint32_t bucket = (uint32_t)(b - wfp->flows.buckets), generation;

	for (uint32_t i = 0; i < WFP_FLOW_WAYS; i++) {
		struct wfp_flow *flow = &b->flows[i];

		if (wfp_read(&flow->id) || flow->epoch)
			continue;
		for (int k = 0; k < 5; k++)
			atomic_store_explicit(&flow->key[k], key->words[k], memory_order_relaxed);
		atomic_store_explicit(&flow->last_ns, now_ns, memory_order_relaxed);
		generation = atomic_fetch_add(&wfp->flows.generation, 1) + 1;
		atomic_store_explicit(&flow->id,
				      (uint64_t)generation << 32 | (bucket * WFP_FLOW_WAYS + i + 1),
				      memory_order_release);
		atomic_fetch_add(&wfp->flows.n_flows, 1);
		return flow;
	}
	return NULL;
}

static int context_add(struct wfp_flow *flow, uint64_t owner, uint64_t context)
{
	struct wfp_flow_context *free_one = NULL;

	for (int i = 0; i < WFP_FLOW_CONTEXTS; i++) {
		struct wfp_flow_context *c = &flow->contexts[i];

		if (wfp_read(&c->owner) == owner)
			return -EEXIST;
		if (wfp_read(&c->owner) == STATE_FREE && !free_one)
			free_one = c;
	}
	if (!free_one)
		return -ENOSPC;
	atomic_store_explicit(&free_one->context, context, memory_order_relaxed);
	atomic_store_explicit(&free_one->owner, owner, memory_order_release);
	return 0;
}

static int associate_locked(struct nbl_wfp *wfp, struct wfp_flow_bucket *b, const struct key *key,
			    const struct nbl_classify_in *in, uint64_t context, uint64_t *ret_flow)
{
	struct wfp_flow *flow = bucket_find(b, key);
	int r;

	if (!flow)
		flow = flow_new(wfp, b, key, in->now_ns);
	if (!flow)
		return -ENOSPC;
	r = context_add(flow, owner_of(in->callout, in->layer, STATE_USED), context);
	if (!r) {
		atomic_fetch_add(&wfp->flows.n_contexts, 1);
		atomic_fetch_add(&wfp->callouts[WFP_INDEX(in->callout)].flow_contexts, 1);
		*ret_flow = wfp_read(&flow->id);
	}
	return r;
}

static const struct wfp_packet *packet_of(const struct nbl_classify_in *in)
{
	if (!wfp_current || in < wfp_current->in || in >= wfp_current->in + wfp_current->n_in)
		return NULL;
	return wfp_current->packets[in - wfp_current->in];
}

int nbl_flow_associate(const struct nbl_classify_in *in, uint64_t flow_context, uint64_t *ret_flow)
{
	const struct wfp_packet *p = packet_of(in);
	struct nbl_wfp *wfp = in->wfp;
	struct wfp_flow_bucket *b;
	struct key key;
	int r;

	if (!p || !flow_context || !wfp->callouts[WFP_INDEX(in->callout)].is.flow_deleted)
		return -EINVAL;
	if (!key_of(p, &key))
		return -EOPNOTSUPP;
	r = -ENOSPC;
	if (wfp->flows.n_buckets) {
		b = &wfp->flows.buckets[hash(&key) & (wfp->flows.n_buckets - 1)];
		if (!bucket_try_lock(b))
			return -EAGAIN;
		r = associate_locked(wfp, b, &key, in, flow_context, ret_flow);
		bucket_unlock(b);
	}
	if (r == -ENOSPC)
		atomic_fetch_add(&wfp->flows.n_refused, 1);
	return r;
}

/* ---- ending ---- */

/* Nobody finds it from now on. True if it was there. */
static bool context_end(struct nbl_wfp *wfp, struct wfp_flow_context *c)
{
	uint64_t owner = wfp_read(&c->owner);

	if ((owner & 0xff) != STATE_USED)
		return false;
	atomic_store(&c->owner, (owner & ~0xffull) | STATE_ENDED);
	c->epoch = wfp_next_epoch(wfp);
	return true;
}

int nbl_flow_remove(struct nbl_wfp *wfp, uint64_t flow_id, enum nbl_layer layer, uint32_t id)
{
	uint32_t index = (uint32_t)flow_id - 1;
	struct wfp_flow_bucket *b;
	struct wfp_flow *flow;
	int r = -ENOENT;

	if (!flow_id || index / WFP_FLOW_WAYS >= wfp->flows.n_buckets)
		return -ENOENT;
	b = &wfp->flows.buckets[index / WFP_FLOW_WAYS];
	flow = &b->flows[index % WFP_FLOW_WAYS];
	bucket_lock(b);
	for (int i = 0; i < WFP_FLOW_CONTEXTS && wfp_read(&flow->id) == flow_id; i++) {
		if (wfp_read(&flow->contexts[i].owner) == owner_of(id, layer, STATE_USED) &&
		    context_end(wfp, &flow->contexts[i]))
			r = 0;
	}
	bucket_unlock(b);
	return r;
}

/* Tells the callout that its context is gone; the bucket is unlocked meanwhile. */
static void context_tell(struct nbl_wfp *wfp, struct wfp_flow_bucket *b, struct wfp_flow_context *c)
{
	uint64_t owner = wfp_read(&c->owner);
	struct wfp_callout *callout = &wfp->callouts[WFP_INDEX((uint32_t)(owner >> 32))];
	enum nbl_layer layer = (enum nbl_layer)(owner >> 8 & 0xff);

	atomic_store_explicit(&c->owner, (owner & ~0xffull) | STATE_TELLING, memory_order_relaxed);
	bucket_unlock(b);
	callout->is.flow_deleted(callout->is.context, layer, wfp_read(&c->context));
	atomic_fetch_sub(&wfp->flows.n_contexts, 1);
	atomic_fetch_sub(&callout->flow_contexts, 1);
	bucket_lock(b);
	atomic_store_explicit(&c->owner, STATE_FREE, memory_order_relaxed);
}

static bool is_idle(const struct nbl_wfp *wfp, const struct wfp_flow *flow, uint64_t now_ns)
{
	uint64_t last = wfp_read(&flow->last_ns);

	return wfp->params.flow_idle_ns && now_ns > last &&
	       now_ns - last > wfp->params.flow_idle_ns;
}

static bool is_empty(const struct wfp_flow *flow)
{
	for (int i = 0; i < WFP_FLOW_CONTEXTS; i++) {
		if (wfp_read(&flow->contexts[i].owner) != STATE_FREE)
			return false;
	}
	return true;
}

/* Returns how many ends it told of. */
static uint32_t flow_age(struct nbl_wfp *wfp, struct wfp_flow_bucket *b, struct wfp_flow *flow,
			 uint64_t now_ns)
{
	bool idle = is_idle(wfp, flow, now_ns);
	uint32_t n_told = 0;

	for (int i = 0; idle && i < WFP_FLOW_CONTEXTS; i++)
		context_end(wfp, &flow->contexts[i]);
	for (int i = 0; i < WFP_FLOW_CONTEXTS; i++) {
		struct wfp_flow_context *c = &flow->contexts[i];

		if ((wfp_read(&c->owner) & 0xff) == STATE_ENDED && wfp_is_past(wfp, c->epoch)) {
			context_tell(wfp, b, c);
			n_told++;
		}
	}
	/* looked at only now: while one was told, lanes may have added another */
	if (wfp_read(&flow->id) && is_empty(flow)) {
		atomic_store(&flow->id, 0);
		flow->epoch = wfp_next_epoch(wfp);
		atomic_fetch_sub(&wfp->flows.n_flows, 1);
	}
	/* its key may be written over when nobody can be comparing with it */
	if (flow->epoch && wfp_is_past(wfp, flow->epoch))
		flow->epoch = 0;
	return n_told;
}

bool nbl_wfp_age(struct nbl_wfp *wfp, uint64_t now_ns)
{
	struct wfp_flows *f = &wfp->flows;
	uint32_t n_told = 0;

	for (uint32_t i = 0; i < WFP_FLOW_MOST_BUCKETS && n_told < WFP_FLOW_MOST_TOLD &&
	     f->next < f->n_buckets; i++) {
		struct wfp_flow_bucket *b = &f->buckets[f->next++];

		bucket_lock(b);
		for (int k = 0; k < WFP_FLOW_WAYS; k++)
			n_told += flow_age(wfp, b, &b->flows[k], now_ns);
		bucket_unlock(b);
	}
	if (f->next < f->n_buckets)
		return false;
	f->next = 0;
	return true;
}
