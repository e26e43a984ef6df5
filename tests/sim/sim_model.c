/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_model.c - who owns what, by what was done. */
#include "sim/sim_model.h"

#include <stdio.h>
#include <string.h>

#include "core/pool_internal.h"
#include "sim/sim_random.h"

static void broke(const struct model *m, int invariant, const char *what)
{
	m->broke(m->arg, invariant, what);
}

static void broke_of(const struct model *m, int invariant, const char *what, uint32_t frame)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: frame %u", what, frame);
	broke(m, invariant, text);
}

static bool is_of_frame(const struct model *m, const struct nbl *n)
{
	return n >= m->nbls && n < m->nbls + m->n_frames;
}

/* The entry for 'n', whether it lives or not; NULL if it is not known here. */
static struct model_nbl *entry_of(struct model *m, const struct nbl *n)
{
	if (is_of_frame(m, n))
		return &m->of_frames[n - m->nbls];
	if (pool_of(n) == m->pool && n->pool_slot < MODEL_MAX_POOL_NBLS)
		return &m->of_pool[n->pool_slot];
	return NULL;
}

static struct model_nbl *find(struct model *m, const struct nbl *n)
{
	struct model_nbl *e = entry_of(m, n);

	if (!e)
		return NULL;
	if (e->n == n)
		return e;
	broke(m, 4, "an NBL that is at home is used");
	return NULL;
}

static uint64_t digest_of(const struct nbl *n)
{
	uint64_t digest = 0;

	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		uint32_t left = nb->data_length, offset = nb->current_offset;

		for (const struct nbl_segment *s = nb->current_segment; s && left; s = s->next) {
			uint32_t here = s->length - offset < left ? s->length - offset : left;

			digest = sim_digest(s->base + offset, here, digest);
			left -= here;
			offset = 0;
		}
	}
	return digest;
}

void model_clear(struct model *m)
{
	memset(m->of_frames, 0, m->n_frames * sizeof(m->of_frames[0]));
	while (m->n_live)
		m->of_pool[m->live[--m->n_live]].n = NULL;
}

/* ---- lives ---- */

static struct model_nbl *begin(struct model *m, struct nbl *n)
{
	struct model_nbl *e = entry_of(m, n);

	if (!e)
		return NULL;
	if (e->n) {
		broke(m, 4, "a descriptor is used again while its NBL lives");
		return NULL;
	}
	*e = (struct model_nbl){ .n = n, .born = m->changes };
	if (!is_of_frame(m, n)) {
		e->at = m->n_live++;
		m->live[e->at] = (uint16_t)n->pool_slot;
	}
	return e;
}

static void end(struct model *m, struct model_nbl *e)
{
	if (!is_of_frame(m, e->n)) {
		m->live[e->at] = m->live[--m->n_live];
		m->of_pool[m->live[e->at]].at = e->at;
	}
	e->n = NULL;
}

/* Ends 'e' if nobody has a claim on it, and then what only it kept. */
static void settle(struct model *m, struct model_nbl *e)
{
	struct nbl *parents[3];
	uint32_t n_parents = e->n_parents;

	if (!e->owner_done || e->references || e->children)
		return;
	memcpy(parents, e->parents, sizeof(parents));
	end(m, e);
	for (uint32_t i = 0; i < n_parents; i++) {
		struct model_nbl *p = find(m, parents[i]);

		if (!p)
			continue;
		if (i)
			p->references--;
		else
			p->children--;
		settle(m, p);
	}
}

void model_reference(struct model *m, struct nbl *n)
{
	struct model_nbl *e = find(m, n);

	if (e)
		e->references++;
}

void model_dereference(struct model *m, struct nbl *n)
{
	struct model_nbl *e = find(m, n);

	if (!e)
		return;
	if (!e->references--)
		broke(m, 2, "a reference too many was dropped");
	settle(m, e);
}

void model_derive(struct model *m, uint16_t id, struct nbl *n, struct nbl *const *parents,
		  uint32_t n_parents)
{
	struct model_nbl *e = begin(m, n);

	if (!e) {
		broke(m, 4, "an NBL was derived from another pool");
		return;
	}
	e->owner = id;
	for (uint32_t i = 0; i < n_parents; i++) {
		struct model_nbl *p = find(m, parents[i]);

		if (!p)
			continue;
		/* of a reassembled NBL the first part is the parent, the others are referenced */
		p->is_part |= i > 0;
		if (i)
			p->references++;
		else
			p->children++;
		e->parents[e->n_parents++] = parents[i];
	}
}

void model_free(struct model *m, uint16_t id, struct nbl *n)
{
	struct model_nbl *e = find(m, n);

	if (!e)
		return;
	if (e->owner != id || e->owner_done)
		broke(m, 5, "an NBL is freed by one who does not own it");
	e->owner_done = true;
	settle(m, e);
}

/* ---- transfers ---- */

/* A packet nobody has seen yet: it must be what the kernel delivered. */
static struct model_nbl *begin_received(struct model *m, struct nbl *n)
{
	struct model_nbl *e = begin(m, n);
	uint32_t frame = n->segment.frame;

	if (!e || !is_of_frame(m, n) || !m->lengths || m->tolerates_lies || m->is_replaying)
		return e;
	if (n->nb.data_length != m->lengths[frame] || digest_of(n) != m->digests[frame])
		broke(m, 9, "what was received is not what the kernel delivered");
	return e;
}

void model_enter(struct model *m, uint16_t id, struct nbl *n, enum chaos_path path)
{
	struct model_nbl *e = entry_of(m, n);
	bool is_back = path == CHAOS_RETURN || path == CHAOS_COMPLETE || path == CHAOS_LENT;

	if (!e)
		return;
	if (!e->n) {
		if (is_back)
			broke(m, 5, "what comes back never came");
		e = begin_received(m, n);
	} else if (e->owner) {
		broke(m, 5, "a module was handed what another owns");
	} else if (e->digest != digest_of(n) && !m->tolerates_lies) {
		broke(m, 9, "its bytes changed between two modules");
	}
	if (!e)
		return;
	if (is_back && !(e->through >> id & 1) && e->born >= m->since[id])
		broke(m, 5, "a module got back what it did not pass on");
	if (!is_back && e->through >> id & 1)
		broke(m, 5, "a module was handed twice what it has not got back");
	e->through &= ~(1u << id);
	/* what was lent may be with the kernel: it is nobody's to keep */
	if (path != CHAOS_LENT)
		e->owner = id;
}

void model_leave(struct model *m, uint16_t id, struct nbl *n, enum chaos_path path)
{
	struct model_nbl *e = entry_of(m, n);

	if (!e)
		return;
	if (path == CHAOS_LENT && e->n && !e->owner)
		return;
	if (e->n != n || e->owner != id) {
		broke(m, 5, "a module passes on what it does not own");
		return;
	}
	e->owner = 0;
	e->digest = digest_of(n);
	if (path == CHAOS_RECEIVE || path == CHAOS_SEND)
		e->through |= 1u << id;
}

void model_originate(struct model *m, uint16_t id, struct nbl *n, bool went)
{
	struct model_nbl *e = find(m, n);

	if (!e)
		return;
	if (e->owner != (went ? id : 0))
		broke(m, 5, "an NBL is originated by one who does not own it");
	e->owner = went ? 0 : id;
	e->digest = digest_of(n);
	e->through = went ? e->through | 1u << id : e->through & ~(1u << id);
}

void model_inject(struct model *m, uint16_t id, struct nbl *n, bool went)
{
	struct model_nbl *e = find(m, n);

	if (!e)
		return;
	if (e->owner != (went ? id : 0))
		broke(m, 5, "an NBL is injected, or back, and somebody else owns it");
	if (!went && e->through)
		broke(m, 5, "an injection ended past a module that passed it on");
	e->owner = went ? 0 : id;
	e->digest = digest_of(n);
}

void model_module_came(struct model *m, uint16_t id)
{
	m->since[id] = ++m->changes;
}

void model_module_went(struct model *m, uint16_t id)
{
	for (uint32_t i = 0; i < m->n_frames; i++)
		m->of_frames[i].through &= ~(1u << id);
	for (uint32_t i = 0; i < m->n_live; i++)
		m->of_pool[m->live[i]].through &= ~(1u << id);
}

/* ---- the kernel ---- */

void model_posted(struct model *m, uint32_t frame)
{
	struct model_nbl *e = &m->of_frames[frame];

	if (!e->n)
		return;
	if (e->owner)
		broke(m, 3, "a frame that a module owns was posted");
	else if (e->references)
		broke(m, 3, "a referenced frame was posted");
	else if (e->children)
		broke(m, 3, "the frame of an NBL with children was posted");
	else if (e->through)
		broke(m, 5, "a packet went home past a module that passed it on");
	e->n = NULL;
}

void model_sent(struct model *m, uint32_t frame, const uint8_t *bytes, uint32_t length)
{
	struct model_nbl *e = &m->of_frames[frame];

	/* where there are clones it may be one of them that is sent */
	if (frame >= m->n_frames || !e->n || e->children || e->is_part || m->tolerates_lies)
		return;
	if (e->owner)
		broke(m, 3, "a frame that a module owns is being sent");
	else if (e->digest != sim_digest(bytes, length, 0))
		broke_of(m, 9, "what is sent is not what the last module passed on", frame);
}

/* ---- comparing ---- */

static void compare(struct model *m, const struct model_nbl *e)
{
	const struct nbl *n = e->n;
	uint32_t claims = n->claims & (NBL_CLAIM_DEEP - 1);

	if (n->references != e->references)
		broke(m, 2, "references are not those that were taken");
	else if (n->child_ref_count != e->children)
		broke(m, 2, "children are not those that live");
	else if (n->parent != (e->n_parents ? e->parents[0] : NULL))
		broke(m, 4, "its parent is another");
	else if (e->owner && !e->owner_done &&
		 claims != 1 + e->references + e->children)
		broke(m, 2, "its claims are not its owner's, references' and children's");
	else if (!e->owner && claims != e->references + e->children &&
		 claims != 1 + e->references + e->children)
		broke(m, 2, "claims that nobody has");
}

void model_check(struct model *m)
{
	for (uint32_t i = 0; i < m->n_frames; i++)
		if (m->of_frames[i].n && !m->tolerates_lies)
			compare(m, &m->of_frames[i]);
	for (uint32_t i = 0; i < m->n_live; i++)
		compare(m, &m->of_pool[m->live[i]]);
}

void model_check_empty(struct model *m)
{
	for (uint32_t i = 0; i < m->n_frames && !m->tolerates_lies; i++) {
		const struct model_nbl *e = &m->of_frames[i];

		if (!e->n)
			continue;
		if (e->owner || e->references || e->children)
			broke(m, 8, "an NBL is not home at the end");
		else if (e->through)
			broke(m, 5, "a module never got back what it passed on");
	}
	if (m->n_live)
		broke(m, 8, "an NBL of the pool is not home at the end");
}
