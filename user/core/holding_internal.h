/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holding_internal.h - charging holders for what they pin.
 *
 * Who references an NBL is kept in one word of it, reference_holders: three
 * places of 16 bits with a holder's id plus one, and on top the number of
 * references for which there was no place. These are charged to nobody (id 0).
 */
#ifndef CORE_HOLDING_INTERNAL_H
#define CORE_HOLDING_INTERNAL_H

#include <nbl/holding.h>

/* On whose behalf this thread acts on 'n' (borrows; NULL: on no NBL). */
uint16_t nbl_holder_of(const struct nbl *n);

/* Charges 'holder' for one more. False, counted, if that is beyond its limit. */
bool nbl_holding_charge(uint16_t holder, enum nbl_tier tier);
void nbl_holding_uncharge(uint16_t holder, enum nbl_tier tier);

/* Counts one clone of 'holder' that was made deep for its limit. */
void nbl_holding_count_promoted(uint16_t holder);

/* Forgets what was refused to 'holder' so far: its id is another's now. Any thread. */
void nbl_holding_forget(uint16_t holder);

/* Notes that 'n' is referenced on behalf of 'holder', and the end of one such reference. */
void nbl_holding_add_reference(struct nbl *n, uint16_t holder);
void nbl_holding_drop_reference(struct nbl *n, uint16_t holder);

/* True if nobody but 'holder' references 'n'. */
bool nbl_holding_references_only_by(const struct nbl *n, uint16_t holder);

/* What nbl_set_time_ms() said. */
uint32_t nbl_time_ms(void);

#endif
