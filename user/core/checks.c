// SPDX-License-Identifier: BSD-2-Clause
/* checks.c - counting broken rules, and comparing what was handed over with what comes back. */
#include <nbl/checks.h>

#include <errno.h>
#include <stdlib.h>

#include <nbl/derive.h>

#include "core/nbl_internal.h"

#define MAX_WALK 65536	/* NBs and segments; a loop in the links ends there */

_Atomic uint32_t nbl_checks = NBL_CHECKS_DEFAULT;

static _Atomic uint64_t violations;
static const char *_Atomic last_what;
static _Atomic uint16_t last_holder;

uint32_t nbl_set_checks(uint32_t checks)
{
	return atomic_exchange(&nbl_checks, checks);
}

int nbl_violation(const char *what, uint16_t holder)
{
	last_what = what;
	last_holder = holder;
	atomic_fetch_add_explicit(&violations, 1, memory_order_relaxed);
	if (nbl_check_is_on(NBL_CHECK_ABORT))
		abort();
	return -EINVAL;
}

uint64_t nbl_violations(void)
{
	return atomic_load_explicit(&violations, memory_order_relaxed);
}

void nbl_get_last_violation(struct nbl_violation *ret_last)
{
	*ret_last = (struct nbl_violation){
		.number = nbl_violations(), .what = last_what, .holder = last_holder };
}

/* FNV-1a over the bytes of a value. */
static uint64_t fold(uint64_t sum, uint64_t value)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		sum = (sum ^ (value & 0xff)) * 0x100000001b3ull;
	return sum;
}

struct walk {
	struct nbl_shape *shape;	/* what is seen goes there */
	const struct nbl_shape *known;	/* or is compared with this: stop where it differs */
	uint32_t left;
};

/* Notes a link to 'at'. False if it is not the one known, or there were too many. */
static bool step(struct walk *w, const void *at)
{
	struct nbl_shape *s = w->shape;
	uint32_t i = s->n_steps++;

	s->links = fold(s->links, (uintptr_t)at);
	if (i < NBL_SHAPE_STEPS) {
		s->steps[i] = at;
		if (w->known && w->known->steps[i] != at)
			return false;
	}
	return w->left-- > 0;
}

static bool walk_nb(struct walk *w, const struct nbl_nb *nb)
{
	for (const struct nbl_segment *s = nb->first_segment; s; s = s->next) {
		if (!step(w, s))
			return false;
		w->shape->links = fold(fold(w->shape->links, (uintptr_t)s->base), s->length);
	}
	return step(w, NULL);
}

static void walk(struct walk *w)
{
	struct nbl_shape *s = w->shape;

	for (const struct nbl_nb *nb = s->n->first_nb; nb; nb = nb->next) {
		if (!step(w, nb))
			return;
		s->windows = fold(fold(s->windows, nb->data_offset), nb->data_length);
		if (!walk_nb(w, nb))
			return;
	}
	step(w, NULL);
}

static void record(const struct nbl *n, struct nbl_shape *shape, const struct nbl_shape *known)
{
	struct walk w = { .shape = shape, .known = known, .left = MAX_WALK };

	*shape = (struct nbl_shape){ .n = n, .source_handle = n->source_handle };
	for (int i = 0; i < 4; i++)
		shape->reserved[i] = n->protocol_reserved[i];
	for (int i = 0; i < 2; i++)
		shape->reserved[4 + i] = n->miniport_reserved[i];
	walk(&w);
}

void nbl_shape_record(const struct nbl *n, struct nbl_shape *ret_shape)
{
	record(n, ret_shape, NULL);
}

static uint32_t differs(bool differs_in, enum nbl_shape_part part, const char *what,
			const struct nbl *n)
{
	if (!differs_in)
		return 0;
	nbl_violation(what, n->holder);
	return part;
}

uint32_t nbl_shape_differs(const struct nbl_shape *shape)
{
	const struct nbl *n = shape->n;
	struct nbl_shape now;
	bool links, windows, reserved = false;

	record(n, &now, shape);
	links = now.links != shape->links;
	/* where the links differ not all windows were seen */
	windows = !links && now.windows != shape->windows;
	for (int i = 0; i < 6; i++)
		reserved = reserved || now.reserved[i] != shape->reserved[i];
	return differs(links, NBL_SHAPE_LINKS, "DV-11: NBs or segments not restored", n) |
	       differs(windows, NBL_SHAPE_WINDOW, "AR-04: window not restored", n) |
	       differs(now.source_handle != shape->source_handle, NBL_SHAPE_SOURCE_HANDLE,
		       "SH-03: source_handle changed", n) |
	       differs(reserved, NBL_SHAPE_RESERVED, "DM-12: reserved fields changed", n);
}
