/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_model.h - the reference model: what must be true of each NBL.
 *
 * It hears from the chaos modules what they do, and from the kernel what it sees, and
 * knows from that alone who owns each NBL, how many references and children it has
 * and whose child it is. It looks at no field of the engine but to compare.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "core/nbl_internal.h"
#include "sim/chaos_module.h"

#define MODEL_MAX_POOL_NBLS 8192

/* What the model knows of one NBL. */
struct model_nbl {
	struct nbl *n;			/* NULL: at home */
	uint16_t owner;			/* id of a module; 0 = the engine or the kernel */
	bool is_part;	/* of a reassembled NBL, or was: it may be that which is sent */
	bool owner_done;		/* of one from a pool: its owner freed it */
	uint8_t n_parents;
	uint32_t references, children;
	uint32_t through;		/* bit per id: passed it on, has not got it back */
	uint32_t at;			/* its place in 'live' */
	uint32_t born;			/* when it came, in changes of the stack */
	uint64_t digest;		/* of its bytes when passed on last */
	struct nbl *parents[3];
};

struct model {
	struct nbl *nbls;		/* of frames */
	uint32_t n_frames;
	const struct nbl_pool *pool;
	struct model_nbl *of_frames;
	struct model_nbl of_pool[MODEL_MAX_POOL_NBLS];
	uint16_t live[MODEL_MAX_POOL_NBLS];	/* of the pool: their slots */
	uint32_t n_live;
	uint32_t changes;		/* of the stack so far */
	uint32_t since[32];		/* when the module with that id came in */
	/* the digest and length of what the kernel delivered in a frame; NULL = it tells none */
	const uint64_t *digests;
	const uint32_t *lengths;
	bool is_replaying;		/* packets a dead worker may have written to run again */
	bool tolerates_lies;		/* frames may be in quarantine: do not judge their NBLs */
	void (*broke)(void *arg, int invariant, const char *what);
	void *arg;
};

/* Forgets all: as after a death. */
void model_clear(struct model *m);

/* The modules' news: struct chaos_watch, by module id. */
void model_enter(struct model *m, uint16_t id, struct nbl *n, enum chaos_path path);
void model_leave(struct model *m, uint16_t id, struct nbl *n, enum chaos_path path);
void model_reference(struct model *m, struct nbl *n);
void model_dereference(struct model *m, struct nbl *n);
void model_derive(struct model *m, uint16_t id, struct nbl *n, struct nbl *const *parents,
		  uint32_t n_parents);
void model_free(struct model *m, uint16_t id, struct nbl *n);
void model_originate(struct model *m, uint16_t id, struct nbl *n, bool went);

/* A module injected 'n', or has got it back: it passes that module, too, as any other. */
void model_inject(struct model *m, uint16_t id, struct nbl *n, bool went);

/* The module with 'id' was put in, or taken out. */
void model_module_came(struct model *m, uint16_t id);
void model_module_went(struct model *m, uint16_t id);

/*
 * The kernel's news: a frame was posted for receive, or is to be sent with these bytes (borrows).
 */
void model_posted(struct model *m, uint32_t frame);
void model_sent(struct model *m, uint32_t frame, const uint8_t *bytes, uint32_t length);

/* Compares all that live with the engine's counts. */
void model_check(struct model *m);

/* Claims that nothing lives. */
void model_check_empty(struct model *m);

#endif
