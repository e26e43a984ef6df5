/* SPDX-License-Identifier: BSD-2-Clause */
/* chaos_internal.h - what a chaos module remembers, and does to NBLs. */
#ifndef SIM_CHAOS_INTERNAL_H
#define SIM_CHAOS_INTERNAL_H

#include <nbl/checks.h>
#include <nbl/context.h>
#include <nbl/fragment.h>
#include <nbl/holding.h>
#include <nbl/info.h>
#include <nbl/window.h>

#include "core/nbl_internal.h"
#include "sim/chaos_module.h"
#include "sim/sim_random.h"

#define CHAOS_MAX_HELD	24
#define CHAOS_MAX_REFS	24
#define CHAOS_MAX_OWN	24
#define CHAOS_MAX_MARKS	24
#define CHAOS_MAX_PARENTS 3
#define CHAOS_N_CANCEL_IDS 2

/* Bytes that must stay as they are while somebody holds them. */
struct chaos_span {
	const uint8_t *at;
	uint32_t length;
	uint64_t digest;
};

struct chaos_held {
	struct nbl *n;
	enum chaos_path path;
	struct chaos_span span;
};

struct chaos_ref {
	struct nbl *n;
	struct chaos_span span;
	bool will_modify;
};

/* An NBL it made. */
struct chaos_own {
	struct nbl *n;
	struct chaos_span span;
	uint32_t delta;			/* of fragments and reassembled ones */
	bool is_out;			/* originated, not yet back */
};

/* What it did to an NBL it passed on, to be undone when that comes back. */
struct chaos_marked {
	struct nbl *n;
	int32_t moved;			/* > 0: advanced by so much, < 0: retreated */
	bool pushed, prepended;
	bool has_shape;
	struct nbl_shape shape;
};

/* On one lane. */
struct chaos {
	bool is_set_up, is_pausing, is_pause_pending;
	struct nbl_filter *f;
	struct sim_random random;
	uint32_t most_held, boldness;
	uint32_t n_held, n_refs, n_own, n_marks;
	struct chaos_held held[CHAOS_MAX_HELD];
	struct chaos_ref refs[CHAOS_MAX_REFS];
	struct chaos_own own[CHAOS_MAX_OWN];
	struct chaos_marked marks[CHAOS_MAX_MARKS];
};

/* What a handler is going to pass on, by path. */
struct chaos_out {
	struct nbl_chain chains[CHAOS_N_PATHS];
};

void chaos_broke(const struct chaos *c, int invariant, const char *what);

static inline void chaos_act(const struct chaos *c, enum chaos_action action, const struct nbl *n)
{
	if (chaos_watch)
		chaos_watch->act(c->f, action, n);
}

/* The used bytes of 'n' that lie in one piece from its beginning. */
struct chaos_span chaos_span(const struct nbl *n);
bool chaos_span_is_same(const struct chaos_span *s);

/* Does something to 'n', which it owns: reference, derive, edit. */
void chaos_work_on(struct chaos *c, struct nbl *n, bool is_forward);

/* Makes a copy of 'n', if there is room. */
void chaos_copy(struct chaos *c, struct nbl *n);

/* Does something with what it has: lets go, dereferences, frees, derives again, sends. */
void chaos_stir(struct chaos *c, struct chaos_out *out);

/* Passes on what it holds in held[i]. */
void chaos_let_go(struct chaos *c, uint32_t i, struct chaos_out *out);

/* Passes on what was put out. */
void chaos_flush(struct chaos *c, struct chaos_out *out);

/* Before 'n' is passed on: may change its window or push a context, and notes its shape. */
void chaos_mark(struct chaos *c, struct nbl *n);

/* 'n' is back: it must be as it was passed on, and the changes are undone. */
void chaos_undo(struct chaos *c, struct nbl *n);

/* True if 'n', come back, is one it originated: it is in its stock again. */
bool chaos_take_back(struct chaos *c, struct nbl *n);

/* Says that its pause is done, if it is pending and nothing is out any more. */
void chaos_check_pause(struct chaos *c);

/* Drops all references and frees all that is not out. */
void chaos_drop_all(struct chaos *c);

#endif
