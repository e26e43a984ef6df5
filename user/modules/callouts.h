/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * callouts.h - the four ways to be a callout, each as small as it can be (CL-08). Copy the one
 * that is nearest to what you want; how a copy gets its name and options is in callouts.c.
 *
 *   inspect_inline   looks, answers CONTINUE
 *   modify_inline    deep clone, edit, inject, all within classify
 *   inspect_oob      clone within classify; decides later, injects the clone or frees it
 *   modify_oob       reference within classify; clones, edits and injects later
 *
 * All four leave alone what they injected before, and what they do not have the
 * right to answer for. They see the installed headers only. Each registers itself;
 * whoever starts it adds filters that name its id.
 */
#ifndef MODULES_CALLOUTS_H
#define MODULES_CALLOUTS_H

#include <nbl/inject.h>
#include <nbl/module.h>

/* What each is started with. All borrowed until it is freed. */
struct model_params {
	struct nbl_wfp *wfp;
	uint32_t owner;			/* number of the module it is part of */
	struct nbl_pool *pool;		/* descriptors; NULL = the default */
	struct nbl_pool *data_pool;	/* frames; NULL = the default */
	/* packets held at most, by those that hold; rounded up to a power of two, from 2 on */
	uint32_t limit;
	uint8_t dscp;			/* modify_inline: the mark it writes, 0..63 */
	uint8_t mac_source[6];		/* modify_oob: the address it writes */
	/* inspect_oob: decides no sooner than this after it saw the packet */
	uint64_t hold_ns;
	/* inspect_oob: whether 'n' (borrows) may go on. The thread of inspect_oob_run() */
	bool (*allow)(void *arg, const struct nbl *n);
	void *arg;
};

struct inspect_inline;
struct modify_inline;
struct inspect_oob;
struct modify_oob;

/*
 * Each _new() registers one (borrows 'params'; fills ret: owned, _free()): 0 or the
 * errors of nbl_callout_register() and nbl_inject_handle_create(). _free() takes
 * it if it returns 0; -EBUSY while it holds packets or its injections are out: call
 * again. _id() is what filters name it by. Control thread.
 *
 * _run(), where it is there, works off what was held (and is due at now_ns), on a
 * thread of its own or a lane's timer; returns how many packets it is done with.
 * _next() and _waits() tell whether something is left: when it is due, 0 = nothing.
 * One thread at a time.
 */
NBL_MUST_CHECK int inspect_inline_new(const struct model_params *params,
				      struct inspect_inline **ret);
int inspect_inline_free(struct inspect_inline *m);
uint32_t inspect_inline_id(const struct inspect_inline *m);
void inspect_inline_get_counts(const struct inspect_inline *m, struct nbl_callout_kind_counts *ret);
NBL_MUST_CHECK int modify_inline_new(const struct model_params *params, struct modify_inline **ret);
int modify_inline_free(struct modify_inline *m);
uint32_t modify_inline_id(const struct modify_inline *m);
void modify_inline_get_counts(const struct modify_inline *m, struct nbl_callout_kind_counts *ret);
NBL_MUST_CHECK int inspect_oob_new(const struct model_params *params, struct inspect_oob **ret);
int inspect_oob_free(struct inspect_oob *m);
uint32_t inspect_oob_id(const struct inspect_oob *m);
uint32_t inspect_oob_run(struct inspect_oob *m, uint64_t now_ns);
uint64_t inspect_oob_next(struct inspect_oob *m);
void inspect_oob_get_counts(const struct inspect_oob *m, struct nbl_callout_kind_counts *ret);
NBL_MUST_CHECK int modify_oob_new(const struct model_params *params, struct modify_oob **ret);
int modify_oob_free(struct modify_oob *m);
uint32_t modify_oob_id(const struct modify_oob *m);
uint32_t modify_oob_run(struct modify_oob *m);
bool modify_oob_waits(struct modify_oob *m);
void modify_oob_get_counts(const struct modify_oob *m, struct nbl_callout_kind_counts *ret);

/* ---- the same, by name and options (callouts.c) ---- */

extern const struct nbl_callout_kind callout_inspect_inline, callout_modify_inline;
extern const struct nbl_callout_kind callout_inspect_oob, callout_modify_oob;

/* All four, ended by NULL. */
extern const struct nbl_callout_kind *const callout_kinds[];

#endif
