// SPDX-License-Identifier: BSD-2-Clause
/* holding.c - who holds how much. */
#include "core/holding_internal.h"

#include "core/nbl_internal.h"
#include "core/pool_internal.h"

#define N_PLACES 3
#define PLACE_BITS 16
#define PLACE_MASK 0xffffull
#define MORE_SHIFT (N_PLACES * PLACE_BITS)

/* Of one holder; each on cache lines of its own, for holders work on different lanes. */
struct account {
	_Atomic uint32_t references;		/* of the tier held, beside its clones */
	_Atomic uint32_t used[NBL_N_TIERS];
	_Atomic uint32_t max[NBL_N_TIERS];
	_Atomic bool copies_only;
	_Atomic uint64_t refused, promoted, over_limit;
} __attribute__((aligned(NBL_CACHE_LINE)));

static struct account accounts[NBL_MAX_HOLDERS];
static _Atomic uint32_t time_ms;
static __thread uint16_t current_holder = NBL_HOLDER_OF_NBL;

static struct account *account_of(uint16_t holder)
{
	return &accounts[holder < NBL_MAX_HOLDERS ? holder : NBL_MAX_HOLDERS - 1];
}

uint16_t nbl_holder_enter(uint16_t holder)
{
	uint16_t before = current_holder;

	current_holder = holder;
	return before;
}

uint16_t nbl_holder_of(const struct nbl *n)
{
	if (current_holder != NBL_HOLDER_OF_NBL)
		return current_holder;
	return n ? n->holder : 0;
}

void nbl_set_time_ms(uint32_t now_ms)
{
	/* many lanes say the same: the line stays shared */
	if (atomic_load_explicit(&time_ms, memory_order_relaxed) != now_ms)
		atomic_store_explicit(&time_ms, now_ms, memory_order_relaxed);
}

uint32_t nbl_time_ms(void)
{
	return atomic_load_explicit(&time_ms, memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Adds one to 'counter', of 'tier'; true if that is beyond the limit. */
static bool use(struct account *a, _Atomic uint32_t *counter, enum nbl_tier tier)
{
	uint32_t max = atomic_load_explicit(&a->max[tier], memory_order_relaxed), used;

	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
	if (NBL_LIKELY(!max))
		return false;
	used = atomic_load_explicit(&a->used[tier], memory_order_relaxed);
	if (tier == NBL_TIER_HELD)
		used += atomic_load_explicit(&a->references, memory_order_relaxed);
	return used > max;
}

bool nbl_holding_charge(uint16_t holder, enum nbl_tier tier)
{
	struct account *a = account_of(holder);

	bool may = tier != NBL_TIER_HELD ||
		   !atomic_load_explicit(&a->copies_only, memory_order_relaxed);

	if (NBL_LIKELY(!use(a, &a->used[tier], tier) && may))
		return true;
	nbl_holding_uncharge(holder, tier);
	count(&a->refused);
	return false;
}

void nbl_holding_uncharge(uint16_t holder, enum nbl_tier tier)
{
	atomic_fetch_sub_explicit(&account_of(holder)->used[tier], 1, memory_order_relaxed);
}

void nbl_holding_count_promoted(uint16_t holder)
{
	count(&account_of(holder)->promoted);
}

void nbl_holding_forget(uint16_t holder)
{
	struct account *a = account_of(holder);

	a->refused = 0;
	a->promoted = 0;
	a->over_limit = 0;
}

/* ---- who references an NBL ---- */

static uint64_t place(uint64_t word, int i)
{
	return word >> (i * PLACE_BITS) & PLACE_MASK;
}

/* The place with 'entry' in it, or N_PLACES. */
static int find(uint64_t word, uint64_t entry)
{
	int i = 0;

	while (i < N_PLACES && place(word, i) != entry)
		i++;
	return i;
}

static uint64_t entry_of(uint16_t holder)
{
	return (uint64_t)holder + 1;
}

static void add_to_account(uint16_t holder)
{
	struct account *a = account_of(holder);

	if (NBL_UNLIKELY(use(a, &a->references, NBL_TIER_HELD)))
		count(&a->over_limit);
}

static void drop_from_account(uint16_t holder)
{
	atomic_fetch_sub_explicit(&account_of(holder)->references, 1, memory_order_relaxed);
}

void nbl_holding_add_reference(struct nbl *n, uint16_t holder)
{
	uint64_t word = atomic_load_explicit(&n->reference_holders, memory_order_relaxed), with;
	int i;

	do {
		i = find(word, 0);
		with = i < N_PLACES ? word | entry_of(holder) << (i * PLACE_BITS)
				    : word + (1ull << MORE_SHIFT);
	} while (!atomic_compare_exchange_weak_explicit(&n->reference_holders, &word, with,
							memory_order_relaxed,
							memory_order_relaxed));
	add_to_account(i < N_PLACES ? holder : 0);
}

/* The place to empty for 'holder': its own, else none if one without a place can end, else any. */
static int place_to_drop(uint64_t word, uint16_t holder)
{
	int i = find(word, entry_of(holder));

	if (i < N_PLACES || word >> MORE_SHIFT)
		return i;
	for (i = 0; i < N_PLACES && !place(word, i);)
		i++;
	return i;
}

void nbl_holding_drop_reference(struct nbl *n, uint16_t holder)
{
	uint64_t word = atomic_load_explicit(&n->reference_holders, memory_order_relaxed), without;
	int i;

	do {
		i = place_to_drop(word, holder);
		if (i == N_PLACES && !(word >> MORE_SHIFT))
			return;
		without = i < N_PLACES ? word & ~(PLACE_MASK << (i * PLACE_BITS))
				       : word - (1ull << MORE_SHIFT);
	} while (!atomic_compare_exchange_weak_explicit(&n->reference_holders, &word, without,
							memory_order_relaxed,
							memory_order_relaxed));
	drop_from_account(i < N_PLACES ? (uint16_t)(place(word, i) - 1) : 0);
}

bool nbl_holding_references_only_by(const struct nbl *n, uint16_t holder)
{
	uint64_t word = atomic_load_explicit(&n->reference_holders, memory_order_relaxed);

	if (word >> MORE_SHIFT)
		return false;
	for (int i = 0; i < N_PLACES; i++)
		if (place(word, i) && place(word, i) != entry_of(holder))
			return false;
	return true;
}

/* ---- telling ---- */

void nbl_holding_get(uint16_t holder, struct nbl_holding *ret_holding)
{
	const struct account *a = account_of(holder);

	*ret_holding = (struct nbl_holding){
		.references = a->references,
		.clones = a->used[NBL_TIER_HELD],
		.deep_clones = a->used[NBL_TIER_PINNED],
		.fresh = a->used[NBL_TIER_PRIVATE],
		.refused = a->refused,
		.promoted = a->promoted,
		.over_limit = a->over_limit,
	};
}

void nbl_holding_set_limits(uint16_t holder, const struct nbl_holding_limits *limits)
{
	struct account *a = account_of(holder);

	for (int i = 0; i < NBL_N_TIERS; i++)
		a->max[i] = limits->max[i];
	a->copies_only = limits->copies_only;
}

void nbl_get_pins(const struct nbl *n, struct nbl_pins *ret_pins)
{
	uint32_t claims = atomic_load_explicit(&n->claims, memory_order_relaxed);
	uint64_t word = atomic_load_explicit(&n->reference_holders, memory_order_relaxed);

	*ret_pins = (struct nbl_pins){
		.kind = (enum nbl_kind)n->kind,
		.holder = n->holder,
		.owner_pending = claims && !(claims & NBL_CLAIM_OWNER_GONE),
		.references = atomic_load_explicit(&n->references, memory_order_relaxed),
		.children = atomic_load_explicit(&n->child_ref_count, memory_order_relaxed),
	};
	for (int i = 0; i < N_PLACES; i++)
		if (place(word, i))
			ret_pins->reference_holders[ret_pins->n_reference_holders++] =
				(uint16_t)(place(word, i) - 1);
	if (n->kind != NBL_KIND_RECEIVE) {
		const struct pool_nbl *p = pool_nbl_of_const(n);

		ret_pins->charged_to = p->charged_to;
		ret_pins->since_ms = p->since_ms;
	}
}
