/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module.h - what a filter module is, what it is called with, what it may call.
 *
 * A module stands in the stack between the lower and the upper port:
 *
 *   receive path   receive:  lower -> upper      receive_return: back down
 *   send path      send:     upper -> lower      send_complete:  back up
 *
 * A handler takes its chain and passes it on with the nbl_filter_ call of its
 * path; whatever it does not pass on, it holds. A path with no handler skips
 * the module at no cost (FS-11). Handlers run on lane threads, one call at a
 * time per struct nbl_filter, and must not block; the same module runs on
 * several lanes at once (RX-13), each with its own nbl_filter and lane_state.
 */
#ifndef NBL_MODULE_H
#define NBL_MODULE_H

#include <nbl/chain.h>
#include <nbl/derive.h>

#define NBL_MODULE_VERSION 1
#define NBL_MODULE_NAME_MAX 32

/* Flags of receive handlers (NDIS_RECEIVE_FLAGS_). */
enum nbl_receive_flags {
	NBL_RECEIVE_RESOURCES = 0x2,	/* borrowed: the identical chain is back when you return (RX-04) */
};

/* What a module declares about itself. */
enum nbl_module_flags {
	NBL_MODULE_HOLDS = 1u << 0,	/* keeps NBLs past its handlers' return */
};

struct nbl_filter;

/* One KEY=VALUE given with `module add` or in the configuration. */
struct nbl_option {
	const char *key;
	const char *value;
};

struct nbl_module {
	uint32_t version;		/* NBL_MODULE_VERSION */
	uint32_t size;			/* sizeof(struct nbl_module) */
	const char *name;
	const char *help;		/* one line */
	const char *options_help;	/* "key=what ..." or NULL */
	uint32_t flags;			/* enum nbl_module_flags */
	size_t lane_state_size;		/* bytes of zeroed lane_state per lane */

	/*
	 * Makes the module's context from its options (borrows; control thread; may
	 * fail: 0 or negative errno, with a sentence in 'error', of 'error_size'
	 * bytes, naming the option). Fills ret_context, which detach() takes.
	 * NULL = no context, and any option is an error. Rule: FS-02.
	 */
	int (*attach)(const struct nbl_option *options, uint32_t n_options, void **ret_context,
		      char *error, size_t error_size);
	/* Frees the context (takes; cannot fail; NULL is fine). Rule: FS-07. */
	void (*detach)(void *context);

	/* Each takes 'chain'. Lane thread. 'port' is the port number, 0 = default. */
	void (*receive)(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags);
	void (*receive_return)(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags);
	void (*send)(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags);
	void (*send_complete)(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags);

	/*
	 * Called about when the time it last returned has come (monotonic
	 * nanoseconds; 0 = no need), and first after the first handler call
	 * that followed. Lane thread. Returns the next time.
	 */
	uint64_t (*timer)(struct nbl_filter *f, uint64_t now_ns);

	/* Passes on or gives back everything held on this lane, now. Lane thread. Cannot fail. Rule: FS-05. */
	void (*pause)(struct nbl_filter *f);
};

/* Where a path goes from here: another filter's handler, or the edge of the stack. */
struct nbl_hop {
	void (*handle)(struct nbl_filter *to, struct nbl_chain chain, uint32_t port, uint32_t flags);
	struct nbl_filter *to;
};

/* One module on one lane. Modules read the first part; the rest is the engine's. */
struct nbl_filter {
	void *context;			/* from attach(); shared by all lanes */
	void *lane_state;		/* this lane's, zeroed before the first call */
	uint64_t now_ns;		/* monotonic time of this turn of the lane */
	uint64_t wake_ns;		/* when timer() is wanted; a handler may set it. 0 = not */
	struct nbl_pool *pool;		/* descriptors and sendable frames for clones and copies, may be NULL */

	uint64_t packets;		/* handed to it, both directions; counted by the engine */
	int64_t held;			/* in its hands: handed to it less passed on */
	uint32_t handle;		/* SourceHandle of what it originates (SH-02) */
	uint16_t id;			/* its holder id, 1 upward */
	uint16_t lane;			/* the lane's index */
	struct nbl_hop indicate, give_back, send, complete;
	const struct nbl_module *module;
};

/*
 * Passes 'chain' (takes) up the receive path. With NBL_RECEIVE_RESOURCES in
 * 'flags' the same chain is yours again on return, else later by
 * receive_return(). Rule: RX-03, RX-08. Restates NdisFIndicateReceiveNetBufferLists.
 */
static inline void nbl_filter_indicate(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
				       uint32_t flags)
{
	f->held -= chain.n_nbls;
	f->indicate.handle(f->indicate.to, chain, port, flags);
}

/* Gives received NBLs back down, any order, any grouping (takes). Rule: RX-10. Restates NdisFReturnNetBufferLists. */
static inline void nbl_filter_return(struct nbl_filter *f, struct nbl_chain chain)
{
	f->held -= chain.n_nbls;
	f->give_back.handle(f->give_back.to, chain, 0, 0);
}

/* Passes 'chain' (takes) down the send path until its completion. Rule: TX-01. Restates NdisFSendNetBufferLists. */
static inline void nbl_filter_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
				   uint32_t flags)
{
	f->held -= chain.n_nbls;
	f->send.handle(f->send.to, chain, port, flags);
}

/* Completes sent NBLs upward with their status (takes). Rule: TX-03. Restates NdisFSendNetBufferListsComplete. */
static inline void nbl_filter_complete(struct nbl_filter *f, struct nbl_chain chain)
{
	f->held -= chain.n_nbls;
	f->complete.handle(f->complete.to, chain, 0, 0);
}

#endif
