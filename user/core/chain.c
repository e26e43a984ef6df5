// SPDX-License-Identifier: BSD-2-Clause
/* chain.c - checking a list of NBLs. */
#include <nbl/chain.h>

bool nbl_chain_is_sound(const struct nbl_chain *c)
{
	const struct nbl *last = NULL;
	uint32_t n_nbls = 0;

	/* a loop in the links ends at the length the chain claims */
	for (const struct nbl *n = c->head; n && n_nbls <= c->n_nbls; n = n->next) {
		last = n;
		n_nbls++;
	}
	return n_nbls == c->n_nbls && (!last || last == c->tail);
}
