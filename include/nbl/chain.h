/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chain.h - a NULL-terminated list of NBLs with its tail and length.
 *
 * Handlers and ports pass chains. A chain owns nothing by itself: whoever owns
 * the NBLs may split and join chains at will (DM-01, RX-10). No allocation. All calls
 * borrow the chain itself; the thread that owns its NBLs.
 */
#ifndef NBL_CHAIN_H
#define NBL_CHAIN_H

#include <nbl/nbl.h>

struct nbl_chain {
	struct nbl *head;
	struct nbl *tail;		/* undefined when head is NULL */
	uint32_t n_nbls;
};

#define NBL_CHAIN_EMPTY ((struct nbl_chain){ .head = NULL, .tail = NULL, .n_nbls = 0 })

/* True if there is none in it. */
static inline bool nbl_chain_is_empty(const struct nbl_chain *c)
{
	return !c->head;
}

/* Appends 'n' (takes). */
static inline void nbl_chain_append(struct nbl_chain *c, struct nbl *n)
{
	n->next = NULL;
	if (c->head)
		c->tail->next = n;
	else
		c->head = n;
	c->tail = n;
	c->n_nbls++;
}

/* Appends all of 'other' (takes); 'other' is empty afterwards. */
static inline void nbl_chain_join(struct nbl_chain *c, struct nbl_chain *other)
{
	if (!other->head)
		return;
	if (c->head)
		c->tail->next = other->head;
	else
		c->head = other->head;
	c->tail = other->tail;
	c->n_nbls += other->n_nbls;
	*other = NBL_CHAIN_EMPTY;
}

/* Removes the first NBL: returns owned by whoever owned the chain, or NULL. Its next is NULL. */
static inline struct nbl *nbl_chain_pop(struct nbl_chain *c)
{
	struct nbl *n = c->head;

	if (!n)
		return NULL;
	c->head = n->next;
	c->n_nbls--;
	n->next = NULL;
	return n;
}

/* Hands the chain on: returns its content and leaves 'c' empty. */
static inline struct nbl_chain nbl_chain_take(struct nbl_chain *c)
{
	struct nbl_chain taken = *c;

	*c = NBL_CHAIN_EMPTY;
	return taken;
}

/* True if tail and length agree with the links (borrows; walks the chain). Rule: RX-01. */
NBL_API bool nbl_chain_is_sound(const struct nbl_chain *c);

#endif
