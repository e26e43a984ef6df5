// SPDX-License-Identifier: BSD-2-Clause
/*
 * inject.c - checking what is to be injected, and handing it over.
 *
 * Everything is checked before anything moves (IN-04). Then each NBL in turn is
 * prepared and submitted; if the first cannot be, all is as before, and a later one
 * that cannot be is completed with its error.
 */
#include "filter/checksum.h"
#include "filter/wfp_internal.h"

#include <nbl/window.h>

struct request {
	struct nbl_wfp *wfp;
	uint32_t handle;
	struct wfp_handle *h;
	enum nbl_inject_path path;
	const struct nbl_inject_target *target;
	nbl_inject_completed_fn completed;
	void *completion_context, *injection_context;
};

/* ---- checks ---- */

static uint32_t type_of(enum nbl_inject_path path)
{
	static const uint8_t types[NBL_N_INJECT_PATHS] = {
		[NBL_PATH_MAC_SEND] = NBL_INJECT_L2,
		[NBL_PATH_MAC_RECEIVE] = NBL_INJECT_L2,
		[NBL_PATH_NETWORK_SEND] = NBL_INJECT_NETWORK,
		[NBL_PATH_NETWORK_RECEIVE] = NBL_INJECT_NETWORK,
		[NBL_PATH_FORWARD] = NBL_INJECT_FORWARD,
		[NBL_PATH_TRANSPORT_SEND] = NBL_INJECT_TRANSPORT,
		[NBL_PATH_TRANSPORT_RECEIVE] = NBL_INJECT_TRANSPORT,
	};

	return types[path];
}

static bool is_mac(enum nbl_inject_path path)
{
	return type_of(path) == NBL_INJECT_L2;
}

static bool is_original(const struct nbl *n)
{
	return nbl_is_let_go(n) && atomic_load_explicit(&n->references, memory_order_relaxed);
}

/* Who has it, and whether it may be injected now. */
static int check_owner(const struct request *q, const struct nbl *n)
{
	uint8_t depth;

	if (__atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED) & NBL_FLAG_FREED)
		return -EINVAL;
	if (wfp_record_get(n).pending)
		return -EBUSY;
	if (nbl_is_let_go(n)) {
		if (!is_original(n) || !is_mac(q->path))
			return -EINVAL;
	} else if (n->kind == NBL_KIND_RECEIVE) {
		return -EBUSY;
	} else if (!q->completed) {
		return -EINVAL;
	}
	wfp_lineage(n, &depth);
	if (depth < NBL_MAX_INJECTIONS)
		return 0;
	atomic_fetch_add(&q->wfp->loops, 1);
	return -ELOOP;
}

static bool begins_right(const struct request *q, const struct nbl_nb *nb, uint8_t version)
{
	uint8_t storage[1];
	const uint8_t *first = nbl_nb_view(nb, 1, storage, 1, 0);

	if (is_mac(q->path))
		return nb->data_length >= 14 && nbl_nb_segment_room(nb) >= 14;
	if (type_of(q->path) == NBL_INJECT_TRANSPORT)
		return first;
	return nb->data_length >= (version == 4 ? 20u : 40u) && first && *first >> 4 == version;
}

static int check_bytes(const struct request *q, const struct nbl *n, uint8_t version)
{
	if (!n->first_nb)
		return -EINVAL;
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (!nbl_nb_is_sound(nb) || !nb->current_segment || !begins_right(q, nb, version))
			return -EINVAL;
	}
	return 0;
}

/*
 * The IP version of what is injected above the MAC layers, or 0 if the parts do not fit together.
 */
static uint8_t version_of(const struct request *q, const struct nbl *n)
{
	const struct nbl_headers *h = q->target->headers;
	uint8_t storage[1], version = 0;
	const uint8_t *first;
	uint16_t type;

	if (!h || h->mac_size < 14 || h->mac_size > NBL_MAC_HEADER_MAX || !n->first_nb)
		return 0;
	first = nbl_nb_view(n->first_nb, 1, storage, 1, 0);
	if (type_of(q->path) == NBL_INJECT_TRANSPORT)
		first = h->ip_size ? h->ip : NULL;
	if (first)
		version = *first >> 4;
	type = (uint16_t)(h->mac[h->mac_size - 2] << 8 | h->mac[h->mac_size - 1]);
	if ((version != 4 || type != 0x0800) && (version != 6 || type != 0x86dd))
		return 0;
	if ((q->h->family == NBL_FAMILY_V4 && version != 4) ||
	    (q->h->family == NBL_FAMILY_V6 && version != 6))
		return 0;
	return version;
}

static int check_chain(const struct request *q, const struct nbl_chain *chain)
{
	uint8_t version = 0;
	int r = 0;

	if (!chain->head || !nbl_chain_is_sound(chain))
		return -EINVAL;
	if (!is_mac(q->path)) {
		if (chain->n_nbls != 1)
			return -EOPNOTSUPP;
		version = version_of(q, chain->head);
		if (!version)
			return -EINVAL;
	}
	if (!(atomic_load(&q->h->layers) & wfp_injected_layers(q->path, version)))
		return -ENOENT;
	for (const struct nbl *n = chain->head; n && !r; n = n->next) {
		r = check_owner(q, n);
		if (!r)
			r = check_bytes(q, n, version);
	}
	return r;
}

/* ---- one NBL ---- */

/* What is put back if it cannot be submitted. */
struct undo {
	uint64_t record;
	void *reserved[4], *mask;
	uint32_t source_handle;
	uint16_t port;
	uint32_t flags;
};

static bool can_be_sent(const struct nbl_wfp *wfp, const struct nbl *n)
{
	if (!wfp->params.n_frames)
		return true;
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		for (const struct nbl_segment *s = nb->current_segment; s; s = s->next) {
			if (s->frame >= wfp->params.n_frames)
				return false;
		}
	}
	return true;
}

static int copy_to_send(const struct request *q, struct nbl *n, struct nbl **ret)
{
	int r = nbl_alloc_deep_clone(n, q->wfp->params.pool, q->wfp->params.pool, ret);

	if (!r)
		atomic_fetch_add(&q->wfp->copied, 1);
	return r;
}

/* What goes in place of 'n' to be sent: itself, or a copy in the adapter's memory (IN-14). */
static int find_stand_in(const struct request *q, struct nbl *n, struct nbl **ret)
{
	*ret = n;
	if (can_be_sent(q->wfp, n))
		return 0;
	return q->wfp->params.strict ? -EINVAL : copy_to_send(q, n, ret);
}

/*
 * True if the bytes of 'n' are its parent's, to whose holders no writes were announced, and the
 * engine would write to them: a checksum, or headers over what is in front (INV-9).
 */
static bool writes_shared(const struct request *q, struct nbl *n)
{
	if (is_mac(q->path) || n->kind != NBL_KIND_CLONE || !n->parent ||
	    __atomic_load_n(&n->parent->nbl_flags, __ATOMIC_ACQUIRE) & NBL_FLAG_WILL_MODIFY)
		return false;
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (nb->data_offset >= q->target->headers->mac_size)
			return true;
	}
	/* what belongs to a transport header is known only behind an IP header */
	return type_of(q->path) == NBL_INJECT_TRANSPORT || wfp_headers_fix(n, WFP_FIX_NOTHING);
}

static int push_headers(const struct request *q, struct nbl *n, uint16_t *ret_size)
{
	const struct nbl_headers *h = q->target->headers;
	uint32_t ip_size = 0;
	int r;

	if (is_mac(q->path)) {
		*ret_size = 0;
		return 0;
	}
	if (type_of(q->path) == NBL_INJECT_TRANSPORT) {
		r = wfp_headers_push_ip(n, h, h->mac_size, q->wfp->params.pool);
		if (r < 0)
			return r;
		ip_size = h->ip_size;
	}
	wfp_headers_fix(n, 0);
	r = wfp_headers_push_mac(n, h, q->wfp->params.pool);
	if (r < 0 && ip_size)
		nbl_advance(n, ip_size, true);
	*ret_size = (uint16_t)(ip_size + h->mac_size);
	return r;
}

/* Notes in 'n' that it is being injected; fills ret_undo with what was there. */
static void mark(const struct request *q, struct nbl *n, uint16_t headers_size,
		 struct undo *ret_undo)
{
	struct wfp_record i = { .pending = true, .path = (uint8_t)q->path, .engine = q->wfp->number,
				.aside = headers_size };
	uint64_t mask = wfp_lineage(n, &i.depth) | 1ull << WFP_INDEX(q->handle);

	i.depth++;
	i.original = is_original(n);
	if (i.original)
		i.aside = n->port;
	*ret_undo = (struct undo){
		.record = n->info[NBL_INFO_WFP],
		.mask = n->miniport_reserved[0],
		.source_handle = n->source_handle,
		.port = n->port,
		.flags = __atomic_load_n(&n->nbl_flags, __ATOMIC_RELAXED),
	};
	memcpy(ret_undo->reserved, n->protocol_reserved, sizeof(ret_undo->reserved));
	if (ret_undo->flags & WFP_FLAG_INJECTED)
		i.older = wfp_older_keep(q->wfp, n);
	__atomic_store_n(&n->miniport_reserved[0], (void *)(uintptr_t)mask, __ATOMIC_RELAXED);
	n->protocol_reserved[0] = (void *)(uintptr_t)q->completed;
	n->protocol_reserved[1] = q->completion_context;
	__atomic_store_n(&n->protocol_reserved[2], q->injection_context, __ATOMIC_RELAXED);
	__atomic_store_n(&n->protocol_reserved[3],
			 (void *)((uintptr_t)n->source_handle << 32 | q->handle), __ATOMIC_RELAXED);
	wfp_record_set(n, i);
	n->source_handle = q->handle;
	n->port = (uint16_t)q->target->port;
	wfp_set_flag(n, WFP_FLAG_INJECTED, true);
}

static void unmark(struct nbl *n, const struct undo *u)
{
	__atomic_store_n(&n->info[NBL_INFO_WFP], u->record, __ATOMIC_RELAXED);
	n->miniport_reserved[0] = u->mask;
	wfp_set_flag(n, (WFP_FLAG_INJECTED | NBL_FLAG_HAS_INFO) & ~u->flags, false);
	n->source_handle = u->source_handle;
	n->port = u->port;
	memcpy(n->protocol_reserved, u->reserved, sizeof(u->reserved));
}

/* Gives the copy the same standing as 'n', so that it is seen and completed as 'n' is. */
static void mark_stand_in(struct nbl *copy, const struct nbl *n, uint16_t headers_size)
{
	struct wfp_record i = wfp_record_get(n);

	i.substitute = true;
	i.aside = headers_size;
	copy->miniport_reserved[0] = n->miniport_reserved[0];
	memcpy(copy->protocol_reserved, n->protocol_reserved, sizeof(copy->protocol_reserved));
	copy->source_handle = n->source_handle;
	copy->port = n->port;
	wfp_record_set(copy, i);
	wfp_set_flag(copy, WFP_FLAG_INJECTED, true);
}

static void pull_headers(struct nbl *n, uint16_t headers_size)
{
	if (headers_size)
		nbl_advance(n, headers_size, true);
}

/* What is sent for an NBL, and the bytes of headers put in front of either. */
struct sending {
	struct nbl *sent;
	uint16_t headers_size, sent_headers_size;
};

/* Fills 'ret' for 'n'. 0 or an error, nothing changed then. */
static int make_ready(const struct request *q, struct nbl *n, struct sending *ret)
{
	int r;

	*ret = (struct sending){ .sent = NULL };
	if (writes_shared(q, n)) {
		r = copy_to_send(q, n, &ret->sent);
		if (!r)
			r = push_headers(q, ret->sent, &ret->sent_headers_size);
		if (r < 0)
			nbl_free_clone(ret->sent);
		return r;
	}
	r = push_headers(q, n, &ret->headers_size);
	if (r < 0)
		return r;
	r = find_stand_in(q, n, &ret->sent);
	if (r < 0)
		pull_headers(n, ret->headers_size);
	return r;
}

/* Takes 'n' if it returns 0; else all is as before. */
static int inject_one(const struct request *q, struct nbl *n)
{
	struct sending s;
	struct undo undo;
	bool original;
	int r;

	r = make_ready(q, n, &s);
	if (r < 0)
		return r;
	original = is_original(n);
	if (original)
		nbl_reference(n, false);
	mark(q, n, s.headers_size, &undo);
	if (s.sent != n)
		mark_stand_in(s.sent, n, s.sent_headers_size);
	s.sent->next = NULL;
	r = q->wfp->params.ops.submit(q->wfp->params.ops.arg, q->path, s.sent);
	if (!r)
		return 0;
	unmark(n, &undo);
	if (s.sent != n) {
		pull_headers(s.sent, s.sent_headers_size);
		nbl_free_clone(s.sent);
	}
	pull_headers(n, s.headers_size);
	if (original)
		nbl_dereference(n);
	return r;
}

/* ---- the whole request ---- */

/* Completes with an error one that could not follow those before it. */
static void fail_one(const struct request *q, struct nbl *n, int status)
{
	struct undo undo;

	if (is_original(n))
		nbl_reference(n, false);
	mark(q, n, 0, &undo);
	nbl_inject_complete(q->wfp, n, status);
}

static int inject_all(const struct request *q, struct nbl_chain chain)
{
	struct nbl *n = chain.head, *next = n->next;
	int r;

	atomic_fetch_add(&q->wfp->injected, chain.n_nbls);
	r = inject_one(q, n);
	if (r < 0) {
		n->next = next;
		atomic_fetch_sub(&q->wfp->injected, chain.n_nbls);
		return r;
	}
	for (n = next; n; n = next) {
		next = n->next;
		n->next = NULL;
		r = inject_one(q, n);
		if (r < 0)
			fail_one(q, n, r);
	}
	return 0;
}

/* Counts 'n' injections in, unless the handle is not there, not for this, or closing. */
static int handle_enter(struct request *q, uint32_t n)
{
	struct wfp_handle *h = &q->wfp->handles[WFP_INDEX(q->handle)];

	q->h = h;
	if (!q->handle || atomic_load(&h->id) != q->handle || !(h->types & type_of(q->path)))
		return -ESTALE;
	atomic_fetch_add(&h->pending, n);
	if (!atomic_load(&h->closing) && atomic_load(&h->id) == q->handle)
		return 0;
	atomic_fetch_sub(&h->pending, n);
	return atomic_load(&h->id) == q->handle ? -ESHUTDOWN : -ESTALE;
}

static int inject(struct request q, struct nbl_chain chain)
{
	const struct nbl_wfp_ops *ops = &q.wfp->params.ops;
	int r;

	if (!q.target)
		return -EINVAL;
	r = handle_enter(&q, chain.n_nbls);
	if (r < 0)
		return r;
	/* an NBL has 16 bits for its port */
	r = q.target->port > UINT16_MAX ? -ENXIO : ops->ready(ops->arg, q.path, q.target);
	if (!r)
		r = check_chain(&q, &chain);
	if (!r)
		r = inject_all(&q, chain);
	if (r < 0)
		atomic_fetch_sub(&q.h->pending, chain.n_nbls);
	return r;
}

static struct nbl_chain chain_of(struct nbl *n)
{
	return (struct nbl_chain){ .head = n, .tail = n, .n_nbls = n ? 1 : 0 };
}

#define REQUEST(of_path) \
	((struct request){ .wfp = wfp, .handle = handle, .path = (of_path), .target = target, \
			   .completed = completed, .completion_context = completion_context, \
			   .injection_context = injection_context })

int nbl_inject_mac_send(struct nbl_wfp *wfp, uint32_t handle, void *injection_context,
			const struct nbl_inject_target *target, struct nbl_chain chain,
			nbl_inject_completed_fn completed, void *completion_context)
{
	return inject(REQUEST(NBL_PATH_MAC_SEND), chain);
}

int nbl_inject_mac_receive(struct nbl_wfp *wfp, uint32_t handle, void *injection_context,
			   const struct nbl_inject_target *target, struct nbl_chain chain,
			   nbl_inject_completed_fn completed, void *completion_context)
{
	return inject(REQUEST(NBL_PATH_MAC_RECEIVE), chain);
}

int nbl_inject_network_send(struct nbl_wfp *wfp, uint32_t handle, void *injection_context,
			    const struct nbl_inject_target *target, struct nbl *n,
			    nbl_inject_completed_fn completed, void *completion_context)
{
	return inject(REQUEST(NBL_PATH_NETWORK_SEND), chain_of(n));
}

int nbl_inject_network_receive(struct nbl_wfp *wfp, uint32_t handle, void *injection_context,
			       const struct nbl_inject_target *target, struct nbl *n,
			       nbl_inject_completed_fn completed, void *completion_context)
{
	return inject(REQUEST(NBL_PATH_NETWORK_RECEIVE), chain_of(n));
}

int nbl_inject_forward(struct nbl_wfp *wfp, uint32_t handle, void *injection_context,
		       const struct nbl_inject_target *target, struct nbl_chain chain,
		       nbl_inject_completed_fn completed, void *completion_context)
{
	return inject(REQUEST(NBL_PATH_FORWARD), chain);
}

int nbl_inject_transport_send(struct nbl_wfp *wfp, uint32_t handle, void *injection_context,
			      const struct nbl_inject_target *target, struct nbl *n,
			      nbl_inject_completed_fn completed, void *completion_context)
{
	return inject(REQUEST(NBL_PATH_TRANSPORT_SEND), chain_of(n));
}

int nbl_inject_transport_receive(struct nbl_wfp *wfp, uint32_t handle, void *injection_context,
				 const struct nbl_inject_target *target, struct nbl *n,
				 nbl_inject_completed_fn completed, void *completion_context)
{
	return inject(REQUEST(NBL_PATH_TRANSPORT_RECEIVE), chain_of(n));
}
