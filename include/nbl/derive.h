/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * derive.h - keeping a packet past the handler that saw it: reference, clone, copy.
 *
 *                        bytes     pins the original   for how long
 *   nbl_reference        shared    yes                 a quick decision
 *   nbl_alloc_clone      shared    yes (child)         a quick decision
 *   nbl_alloc_deep_clone own       its descriptor      a quick decision
 *   nbl_alloc_copy       own       no                  as long as its pool allows
 *
 * An NBL goes home when its owner gave it back AND references are 0 AND
 * children are 0, at whichever comes last, on whatever thread (RF-04, DV-06).
 * Its frame goes earlier, if its home can part with it, once only deep clones are
 * left: nobody can read those bytes (AMB-01). Each of the calls below is charged to
 * a holder (holding.h). fragment.h has clones of other shapes. All calls may run
 * on any thread that holds the NBL; none blocks or does I/O.
 */
#ifndef NBL_DERIVE_H
#define NBL_DERIVE_H

#include <nbl/nbl.h>
#include <nbl/pool.h>

/*
 * Keeps 'n' valid after the handler returned (keeps). Cannot fail, copies nothing.
 * 'intend_to_modify' announces writes to clones of 'n' made later; it sticks (RF-06).
 * Without it the bytes must not be changed (RF-07).
 * Rule: RF-01. Restates FwpsReferenceNetBufferList0.
 */
NBL_API void nbl_reference(struct nbl *n, bool intend_to_modify);

/*
 * Ends one nbl_reference() of 'n' (takes that reference). -EINVAL, and counted as
 * a violation, if there is none: 'n' is then unchanged.
 * Rule: RF-02. Restates FwpsDereferenceNetBufferList0.
 */
NBL_API int nbl_dereference(struct nbl *n);

/*
 * A new NBL over the same bytes: the used data of every NB of 'n' (keeps: 'n' is
 * the parent and stays until the clone is freed). No headroom of its own, no
 * context. 'pool' gives descriptors (borrows; NULL = the default pool). Returns owned,
 * nbl_free_clone(); NULL when the pool is exhausted, 'n' unchanged.
 * Where writes were announced and others could see them, a deep clone takes its
 * place: unless the references are the caller's own, made on this thread, there are no
 * other children, and 'n' is not queued for sending (RF-06); also beyond a limit of
 * its holder (HP-04). Its frames come from 'pool' if that has any, else from the
 * default pool; NULL if there are none.
 * Rules: DV-01, DV-02, RF-06, RF-11. Restates FwpsAllocateCloneNetBufferList0.
 */
NBL_API struct nbl *nbl_alloc_clone(struct nbl *n, struct nbl_pool *pool);

/*
 * A new NBL with its own copy of the used bytes, in frames of 'data_pool', its
 * descriptor from 'nbl_pool'; each NULL stands for the default pool (borrows both; keeps
 * 'n' as parent). Several frames if one does not suffice. Fills ret_clone: owned,
 * nbl_free_clone(). Returns 0; -ENOBUFS when a pool is exhausted or no default is set;
 * -EMSGSIZE if it takes more segments than the data pool allows; -EDQUOT beyond the
 * holder's limit; -EINVAL, counted as a violation, if 'n' is back in its pool or its
 * window is unsound; nothing is allocated and 'n' unchanged then.
 * Rules: RF-09..RF-12. Restates FwpsAllocateDeepCloneNetBufferList0.
 */
NBL_API NBL_MUST_CHECK int nbl_alloc_deep_clone(struct nbl *n, struct nbl_pool *nbl_pool,
						struct nbl_pool *data_pool, struct nbl **ret_clone);

/*
 * Frees a clone of either kind (takes); its bytes, if its own, go back to their
 * pool, and its parent may go home. Edits not undone are counted as a violation.
 * While references or children of the clone live it is deferred to the last of
 * them (AMB-10). -EINVAL, counted as a
 * violation, for an NBL that is no clone. Rule: RF-13. Restates FwpsFreeCloneNetBufferList0.
 */
NBL_API int nbl_free_clone(struct nbl *n);

/*
 * A fresh NBL with copied bytes and no parent: the one kind that may be kept
 * long. Same pools and errors as the deep clone. Fills ret_copy: owned, nbl_free().
 * Rule: RF-15. Restates FwpsAllocateNetBufferAndNetBufferList0 and the copy after it.
 */
NBL_API NBL_MUST_CHECK int nbl_alloc_copy(const struct nbl *n, struct nbl_pool *nbl_pool,
					  struct nbl_pool *data_pool, struct nbl **ret_copy);

/*
 * Ends the owner's claim on 'n' (takes): the way a receive NBL is returned and a
 * sent one completed. It goes home now, or at the last dereference or child freed.
 * Modules do not call this: they return chains (module.h). Rule: RF-04.
 */
NBL_API void nbl_release(struct nbl *n);

/*
 * The default pools of NULL arguments above (borrows until replaced; NULL = none). Set
 * before lanes run. Rule: RF-12.
 */
NBL_API void nbl_set_default_pools(struct nbl_pool *nbl_pool, struct nbl_pool *data_pool);

/*
 * The same (borrows both) for NBLs whose bytes lie in 'memory' (nbl_memory_of()); where there
 * is none those above are used. Returns 0; -EINVAL if 'memory' is not below NBL_MAX_MEMORIES.
 * Rules: PL-06, AMB-05.
 */
NBL_API int nbl_set_memory_pools(uint32_t memory, struct nbl_pool *nbl_pool,
				 struct nbl_pool *data_pool);

/* Deep clones made in the place of shallow ones since the process began (RF-06, AMB-03). */
NBL_API uint64_t nbl_hidden_copies(void);

/*
 * Broken rules seen by the calls above since the process began: illegal frees,
 * dereferences, uses. Rules: RF-02, SH-02, TX-01.
 */
NBL_API uint64_t nbl_violations(void);

#endif
