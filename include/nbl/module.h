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
 *
 * Its life (FS-01): attach -> Paused -> restart -> Running -> pause -> Paused ->
 * detach. Packets come in Running and Pausing only; nothing may be originated
 * in any other state than Running (FS-03, FS-06). Whenever a module is put in or
 * taken out, all modules pause from the top down and restart from the bottom up (FS-08).
 *
 * A worker may be killed at any moment (SIGKILL, SIGTERM). What it was in the middle of, and had
 * neither sent nor was holding, its successor runs again, from the lower port or the upper one as
 * it came: as new NBLs, with lane_state zeroed, over the bytes as they are. If a module had edited
 * them in place it sees its own edit. Either make edits that bear being made twice (writing a DSCP
 * does, swapping addresses does not), or edit a deep clone or a copy: the packet that runs again
 * is the unedited original. What a module held is lost; so is the burst in which a worker crashed.
 *
 * Some options are the engine's and do not reach attach():
 *
 *   mandatory=yes|no         if it cannot restart, the stack stays down (FS-10); no
 *   bypass=receive|send|both|none   paths that go past it (FS-11); none
 *   max-held=N               packets it may hold; 0 = no such limit, the default
 *   max-share=PERCENT        of a queue's frames, as owner and by reference; 25, 100 = all
 *   soft-age=MS              holding longer is warned of; 1000, 0 = never
 *   hard-age=MS              holding longer makes it unhealthy: it gets no more; 0 = never
 *
 * At its limit a module is only lent what is received, and does not see what is sent; one that
 * takes references to that, too, is unhealthy (HP-04).
 */
#ifndef NBL_MODULE_H
#define NBL_MODULE_H

#include <nbl/chain.h>
#include <nbl/derive.h>
#include <nbl/flags.h>

#define NBL_MODULE_VERSION 2
#define NBL_MODULE_NAME_MAX 32

/* What a module declares about itself. */
enum nbl_module_flags {
	NBL_MODULE_HOLDS		= 1u << 0,	/* keeps NBLs past its handlers' return */
	/* keeps NBLs being sent: needs cancel_send (CN-03) */
	NBL_MODULE_QUEUES_SENDS		= 1u << 1,
	NBL_MODULE_ORIGINATES_SENDS	= 1u << 2,	/* needs send_complete (TX-16) */
	NBL_MODULE_ORIGINATES_RECEIVES	= 1u << 3,	/* needs receive_return (TX-16) */
	/* frame types and nbl_flags are filled before its handlers (DM-09, DM-14) */
	NBL_MODULE_WANTS_TYPES		= 1u << 4,
};

/* The paths of a module, for bypass (FS-11). */
enum nbl_module_paths {
	NBL_MODULE_RECEIVE		= 1u << 0,	/* receive and receive_return */
	NBL_MODULE_SEND			= 1u << 1,	/* send and send_complete */
};

/* States of a module on its adapter (FS-01). */
enum nbl_module_state {
	NBL_MODULE_DETACHED,
	NBL_MODULE_ATTACHING,
	NBL_MODULE_PAUSED,
	NBL_MODULE_RESTARTING,
	NBL_MODULE_RUNNING,
	NBL_MODULE_PAUSING,
	NBL_N_MODULE_STATES
};

#define NBL_PENDING 1		/* of pause(): nbl_filter_pause_complete() follows (FS-04) */

struct nbl_filter;

/* One KEY=VALUE given with `module add` or in the configuration. */
struct nbl_option {
	const char *key;
	const char *value;
};

/* What a module is told, and may settle, each time it restarts (FS-10, FS-11, PL-08). */
struct nbl_restart {
	/* enum nbl_module_paths it wants no packets of until the next restart; 0 at first */
	uint32_t bypass;
	/* bytes that modules below it may retreat by; what it originates has them free */
	uint32_t headroom_below;
	/* bytes it retreats by itself, for those above; 0 at first */
	uint32_t headroom;
};

/* What happened below (FS-13, NX-08). */
enum nbl_event {
	NBL_EVENT_LINK_UP,
	NBL_EVENT_LINK_DOWN,		/* until it is up what is sent waits, or fails */
	/* never given: queues are not made anew while modules run (nbl.h) */
	NBL_EVENT_RESET,
	NBL_N_EVENTS
};

struct nbl_status_indication {
	enum nbl_event event;
	uint8_t side;			/* 0 lower port, 1 upper */
};

/* Questions about the lower port, passed down from module to module (FS-13). */
enum nbl_request_kind {
	NBL_REQUEST_MTU,		/* get and set */
	NBL_REQUEST_MAC,		/* get: 6 bytes, the first one highest */
	NBL_REQUEST_LINK,		/* get: 1 = up */
	NBL_REQUEST_RECEIVED,		/* get: packets */
	NBL_N_REQUESTS
};

struct nbl_request {
	enum nbl_request_kind kind;
	bool set;
	uint64_t value;			/* in, if set; out, else */
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
	 * NULL = no context, and any option is an error. Ends in Paused. Rule: FS-02.
	 */
	int (*attach)(const struct nbl_option *options, uint32_t n_options, void **ret_context,
		      char *error, size_t error_size);
	/*
	 * Before packets come (borrows 'r'; control thread, lanes at rest; optional). 0 or
	 * negative errno with a sentence in 'error': an optional module is then detached, a
	 * mandatory one keeps the stack down. Rule: FS-10.
	 */
	int (*restart)(void *context, struct nbl_restart *r, char *error, size_t error_size);
	/* Frees the context (takes; cannot fail; NULL is fine). Rule: FS-07. */
	void (*detach)(void *context);

	/*
	 * Each takes 'chain'. Lane thread. 'port' is what whoever passed it on said, 0 = default;
	 * which port an NBL leaves by it says itself (nbl.h).
	 */
	void (*receive)(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags);
	void (*receive_return)(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags);
	void (*send)(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags);
	void (*send_complete)(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags);

	/*
	 * Completes queued sends with this cancel id, SEND_ABORTED (nbl_filter_complete());
	 * the engine then asks those below. Lane thread. Rule: CN-02.
	 */
	void (*cancel_send)(struct nbl_filter *f, uint64_t cancel_id);

	/*
	 * Called about when the time it last returned has come (monotonic
	 * nanoseconds; 0 = no need), and first after the first handler call
	 * that followed. Lane thread. Returns the next time.
	 */
	uint64_t (*timer)(struct nbl_filter *f, uint64_t now_ns);

	/*
	 * Passes on or gives back everything held on this lane. Lane thread, or another
	 * for it. Cannot fail; 0, or NBL_PENDING if some of it comes back later
	 * by itself: then nbl_filter_pause_complete(). Called again if others, pausing
	 * too, handed it packets since. Rules: FS-04, FS-05.
	 */
	int (*pause)(struct nbl_filter *f);

	/*
	 * Is told what happened (borrows 's'), before those above. Lane thread. Needed with
	 * receive. Rule: FS-12, FS-13.
	 */
	void (*status)(struct nbl_filter *f, const struct nbl_status_indication *s);

	/*
	 * A request on its way down (borrows 'r'; optional): may answer it, or pass it on
	 * with nbl_filter_request() and change the answer. 0 or negative errno. Control
	 * thread, lanes at rest. Rule: FS-13.
	 */
	int (*request)(struct nbl_filter *f, struct nbl_request *r);
};

/*
 * Where a path goes from here: another filter's handler, or the edge of the stack. On the way
 * back 'port' is the id of the module that drops the chain there, 0 = it was passed on.
 */
struct nbl_hop {
	void (*handle)(struct nbl_filter *to, struct nbl_chain chain, uint32_t port,
		       uint32_t flags);
	struct nbl_filter *to;
};

/*
 * The engine's side of the calls below that are not on every packet's way. Modules do not call
 * these.
 */
struct nbl_engine_ops {
	int (*originate)(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			 uint32_t flags, bool is_send);
	struct nbl_chain (*stop_own)(struct nbl_filter *f, struct nbl_chain chain);
	void (*cancel)(struct nbl_filter *f, uint64_t cancel_id);
	void (*pause_complete)(struct nbl_filter *f);
	void (*wake)(struct nbl_filter *f);
	void (*status)(struct nbl_filter *f, const struct nbl_status_indication *s);
	int (*request)(struct nbl_filter *f, struct nbl_request *r);
	void (*want_restart)(struct nbl_filter *f);
};

/* One module on one lane. Modules read the first part; the rest is the engine's. */
struct nbl_filter {
	void *context;			/* from attach(); shared by all lanes */
	void *lane_state;		/* this lane's, zeroed before the first call */
	uint64_t now_ns;		/* monotonic time of this turn of the lane */
	uint64_t wake_ns;		/* when timer() is wanted; a handler may set it. 0 = not */
	/* descriptors and sendable frames for what it originates; NULL only in tests */
	struct nbl_pool *pool;
	/* longest frame each port sends, bytes: [0] lower, [1] upper */
	uint32_t max_length[2];

	uint64_t packets;		/* handed to it, both directions; counted by the engine */
	int64_t held;			/* in its hands: handed to it less passed on */
	int64_t held_sends;		/* of these, on the send path */
	int64_t n_originated;		/* its own NBLs that are out */
	int64_t n_originated_sends;	/* of these, sent */
	uint32_t handle;		/* SourceHandle of what it originates (SH-02) */
	uint16_t id;			/* its holder id, 1 upward */
	/* its id where what it gives back is its own drop, else 0 */
	uint16_t giver;
	uint16_t lane;			/* the lane's index */
	uint8_t state;			/* enum nbl_module_state */
	bool originates;		/* by its flags */
	bool borrows;			/* its handler has a chain it was lent (RX-04) */
	struct nbl_hop indicate, give_back, send, complete;
	const struct nbl_module *module;
	const struct nbl_engine_ops *engine;
};

/* ---- passing on: the lane's thread, or who calls pause() for it; none blocks ---- */

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
	if (NBL_UNLIKELY(flags & NBL_RECEIVE_RESOURCES))
		f->held += chain.n_nbls;
}

/*
 * Gives received NBLs back down, any order, any grouping (takes). Its own among them
 * stay (RX-11), and those it was only lent (RX-04), counted as violations. Rule: RX-10.
 * Restates NdisFReturnNetBufferLists.
 */
static inline void nbl_filter_return(struct nbl_filter *f, struct nbl_chain chain)
{
	if (NBL_UNLIKELY(f->originates | f->borrows)) {
		chain = f->engine->stop_own(f, chain);
		if (!chain.head)
			return;
	}
	f->held -= chain.n_nbls;
	f->give_back.handle(f->give_back.to, chain, f->giver, 0);
}

/*
 * Passes 'chain' (takes) down the send path until its completion. 'port' is told to the
 * handlers below; each NBL leaves by its own n->port. Rules: TX-01, PT-04. Restates
 * NdisFSendNetBufferLists.
 */
static inline void nbl_filter_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
				   uint32_t flags)
{
	f->held -= chain.n_nbls;
	f->held_sends -= chain.n_nbls;
	f->send.handle(f->send.to, chain, port, flags);
}

/*
 * Completes sent NBLs upward with their status (takes). Its own among them stay,
 * counted as a violation (TX-09). Rule: TX-03. Restates NdisFSendNetBufferListsComplete.
 */
static inline void nbl_filter_complete(struct nbl_filter *f, struct nbl_chain chain)
{
	if (NBL_UNLIKELY(f->originates | f->borrows)) {
		chain = f->engine->stop_own(f, chain);
		if (!chain.head)
			return;
	}
	f->held -= chain.n_nbls;
	f->held_sends -= chain.n_nbls;
	f->complete.handle(f->complete.to, chain, f->giver, 0);
}

/* ---- originating: NBLs from f->pool that are its own; the lane's thread ---- */

/* Makes 'n' (borrows) one that 'f' originates. Rules: SH-02, SH-07. */
static inline void nbl_filter_own(const struct nbl_filter *f, struct nbl *n)
{
	n->source_handle = f->handle;
}

/*
 * True if 'f' originated 'n' (borrows): the send_complete or receive_return handler ends it
 * there. Rule: SH-05.
 */
static inline bool nbl_filter_is_own(const struct nbl_filter *f, const struct nbl *n)
{
	return n->source_handle == f->handle;
}

/*
 * Sends NBLs of its own down from here, by the port that n->port of each says, or indicates them
 * up (takes, if 0 is returned); 'port' is told to the handlers on the way. They come back, each
 * once, to send_complete() or receive_return(), apart from those of others; with
 * NBL_RECEIVE_RESOURCES they are back on return and no handler is called (RX-12). Nothing moved,
 * the status of each is FAILURE, and they are still the caller's on: -EPERM, counted as a
 * violation, if one does not carry its handle, is not on its account, or is out already;
 * -EOPNOTSUPP without the flag and handler; -ESHUTDOWN in any other state than Running. Lane
 * thread.
 * Rules: SH-02, TX-10, TX-16, FS-06, RX-12.
 */
static inline int nbl_filter_originate_send(struct nbl_filter *f, struct nbl_chain chain,
					    uint32_t port, uint32_t flags)
{
	return f->engine->originate(f, chain, port, flags, true);
}

/* As nbl_filter_originate_send(), upward (takes, if 0 is returned). Rules: SH-02, RX-11, RX-12. */
static inline int nbl_filter_originate_receive(struct nbl_filter *f, struct nbl_chain chain,
					       uint32_t port, uint32_t flags)
{
	return f->engine->originate(f, chain, port, flags, false);
}

/*
 * Asks all below to cancel sends with this id. Lane thread. Rule: CN-02. Restates
 * NdisFCancelSendNetBufferLists.
 */
static inline void nbl_filter_cancel(struct nbl_filter *f, uint64_t cancel_id)
{
	f->engine->cancel(f, cancel_id);
}

/* ---- the rest ---- */

/*
 * Ends a pause() that was NBL_PENDING, once all is passed on. Any thread. Rule: FS-04. Restates
 * NdisFPauseComplete.
 */
static inline void nbl_filter_pause_complete(struct nbl_filter *f)
{
	f->engine->pause_complete(f);
}

/*
 * Has timer() called soon. Any thread: how a module's own thread gets its lane's attention.
 * Rule: INV-7.
 */
static inline void nbl_filter_wake(struct nbl_filter *f)
{
	f->engine->wake(f);
}

/* Passes a status indication up (borrows 's'): the least a status handler does. Rule: FS-13. */
static inline void nbl_filter_pass_status(struct nbl_filter *f,
					  const struct nbl_status_indication *s)
{
	f->engine->status(f, s);
}

/* Passes a request down (borrows 'r'), to be answered there. 0 or negative errno. Rule: FS-13. */
static inline int nbl_filter_request(struct nbl_filter *f, struct nbl_request *r)
{
	return f->engine->request(f, r);
}

/*
 * Has the stack paused and restarted, so that restart() is asked again. Any thread. Rule: FS-11.
 * Restates NdisFRestartFilter.
 */
static inline void nbl_filter_want_restart(struct nbl_filter *f)
{
	f->engine->want_restart(f);
}

#endif
