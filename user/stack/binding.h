/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * binding.h - receivers above the stack beside the upper port: what NDIS calls protocol bindings.
 *
 *   lower port -> modules -> fanout.c -> binding, binding ..., upper port
 *   binding's send -> entry at the top -> modules -> lower port -> completion -> binding
 *
 * A binding names the frame types it wants and gets just those, in order. The upper
 * port is the last binding, and wants all types unless told otherwise. While there is
 * nothing but that, lane->bindings is NULL and costs nothing. Bindings are opened and
 * closed on the control thread with all lanes at rest.
 */
#ifndef STACK_BINDING_H
#define STACK_BINDING_H

#include "stack/lane.h"

#define NBL_MAX_BINDINGS	16	/* beside the upper port */
#define NBL_MAX_BINDING_TYPES	16	/* of one binding */
#define NBL_BINDING_NAME_MAX	32

enum nbl_binding_flags {
	/*
	 * Keeps what it is indicated without RESOURCES, and gives it back by
	 * nbl_binding_return(). One without this flag is only ever lent packets.
	 */
	NBL_BINDING_PENDS	= 1u << 0,
};

struct nbl_binding_params {
	const char *name;		/* copied */
	uint32_t flags;			/* enum nbl_binding_flags */
	const uint16_t *types;		/* frame types in the processor's byte order (borrows) */
	uint32_t n_types;		/* 0 = everything */
	void *arg;			/* of both calls (borrows until closed) */
	/*
	 * Packets for it. With NBL_RECEIVE_RESOURCES borrows 'chain', whose links must be
	 * as they were on return (RX-05); without, takes it until nbl_binding_return().
	 * Lane thread, several lanes at once. Required.
	 */
	void (*receive)(void *arg, struct nbl_lane *lane, struct nbl_chain chain, uint32_t port,
			uint32_t flags);
	/*
	 * Gets back what it sent (takes), with the status of each.
	 * Lane thread. Required to send (TX-16).
	 */
	void (*send_complete)(void *arg, struct nbl_lane *lane, struct nbl_chain chain);
};

/* Of one binding, since it was opened; or what of it is out. */
struct nbl_binding_figures {
	uint64_t packets;		/* indicated, copies and borrowed ones included */
	uint64_t copied;		/* of these, as private copies (RX-07) */
	uint64_t no_copy;		/* of these, borrowed because the pool was exhausted */
	uint64_t sent;			/* NBLs */
	uint64_t looped;		/* loopback clones made for it (TX-14) */
	int64_t given;			/* NBLs it has to return */
	int64_t sending;		/* NBLs it sent that have not completed */
	int64_t looping;		/* loopback clones on their way */
};

/* One binding on one lane; the atomic ones change on any thread. */
struct nbl_binding_lane {
	uint64_t packets, copied, no_copy;
	_Atomic uint64_t sent, looped;
	_Atomic int64_t given, sending, looping;
} __attribute__((aligned(NBL_CACHE_LINE)));

struct nbl_binding {
	struct nbl_bindings *of;
	struct nbl_binding_params params;	/* its name and types are those below */
	char name[NBL_BINDING_NAME_MAX];
	uint16_t types[NBL_MAX_BINDING_TYPES];
	uint32_t handle;		/* SourceHandle of what it sends; 0 = closed */
	uint32_t generation;		/* of those that had this number */
	struct nbl_binding_lane *lanes;
};

/* Who wants one frame type: bit i = binding i, NBL_MAX_BINDINGS = the upper port. */
struct nbl_binding_type {
	uint16_t type_be;
	uint32_t wanted_by;
};

/* The bindings of an adapter: shared by its lanes, changed while they rest. */
struct nbl_bindings {
	struct nbl_lane *lanes;
	uint32_t n_lanes;
	struct nbl_binding bindings[NBL_MAX_BINDINGS];
	uint16_t upper_types[NBL_MAX_BINDING_TYPES];
	uint32_t n_upper_types;
	struct nbl_binding_type types[(NBL_MAX_BINDINGS + 1) * NBL_MAX_BINDING_TYPES];
	uint32_t n_types;
	uint32_t wanted_by_all;		/* those that want every type */
	_Atomic bool paused;		/* nothing may be sent */
};

/* ---- binding.c: control thread, lanes at rest ---- */

/*
 * Makes the place for bindings above 'lanes' (borrows until nbl_bindings_free(); fills
 * ret_bindings: owned). 0 or -ENOMEM.
 */
NBL_MUST_CHECK int nbl_bindings_new(struct nbl_lane *lanes, uint32_t n_lanes,
				    struct nbl_bindings **ret_bindings);

/* Frees it (takes on success; NULL is fine). -EBUSY while a binding is open. */
int nbl_bindings_free(struct nbl_bindings *bs);

/*
 * The frame types the upper port wants from now on (borrows 'types', in the processor's
 * byte order; n_types 0: everything). -E2BIG beyond NBL_MAX_BINDING_TYPES. Rule: PT-05.
 */
NBL_MUST_CHECK int nbl_bindings_set_upper_types(struct nbl_bindings *bs, const uint16_t *types,
						uint32_t n_types);

/*
 * Opens a binding (borrows 'params'; fills ret_binding: owned, nbl_binding_close()). 0;
 * -ENOSPC: NBL_MAX_BINDINGS are open; -EEXIST: one has that name; -E2BIG: too many types;
 * -EINVAL: no receive(), or a name too long; -ENOMEM. Rules: PT-05, SH-04, SH-08.
 * Restates NdisOpenAdapterEx.
 */
NBL_MUST_CHECK int nbl_binding_open(struct nbl_bindings *bs,
				    const struct nbl_binding_params *params,
				    struct nbl_binding **ret_binding);

/*
 * Closes 'b' (takes on success). -EBUSY while it has packets to return, or what it sent is
 * not complete: nothing changes then, and nbl_binding_get_figures() tells how many. Other
 * threads must have stopped using it. Rule: SH-08. Restates NdisCloseAdapterEx.
 */
int nbl_binding_close(struct nbl_binding *b);

/*
 * The stack below pauses, so that nobody may send, or goes on; 'bindings' is a struct nbl_bindings.
 * Any thread. Rules: FS-06, FS-08.
 */
void nbl_bindings_pause(void *bindings);
void nbl_bindings_restart(void *bindings);

/* Counts of all lanes (fills): exact when they are at rest. */
void nbl_binding_get_figures(const struct nbl_binding *b, struct nbl_binding_figures *ret_figures);

/*
 * Whether 'lane' must fill frame types before its handlers: a binding, the upper port or a
 * module wants them. For whoever links the lane.
 */
bool nbl_bindings_want_types(const struct nbl_lane *lane);

/* ---- binding.c: packets ---- */

/*
 * Gives back packets (takes) it was indicated without RESOURCES, in any order and
 * grouping. Those it was only lent are left alone, counted as a violation. Lane thread.
 * Rules: RX-03, RX-10. Restates NdisReturnNetBufferLists.
 */
void nbl_binding_return(struct nbl_binding *b, struct nbl_lane *lane, struct nbl_chain chain);

/*
 * Sends NBLs of pools (takes, if 0 is returned) from the top of the stack; n->port says on
 * which port. Each comes back once, to send_complete(). Its handle is set where there is
 * none. Nothing moved and each status is FAILURE on: -EPERM, counted as a violation, if one
 * is a received packet, carries the handle of somebody else, or is out already; -EOPNOTSUPP
 * without send_complete(). Nothing moved and it is PAUSED on: -ESHUTDOWN while the stack pauses
 * (FS-06). 'flags': enum nbl_send_flags; with CHECK_FOR_LOOPBACK what it
 * sends of the types it wants is indicated to it, and to nobody else. Any thread; never
 * blocks. Rules: SH-04, TX-01, TX-14, BUG-07. Restates NdisSendNetBufferLists.
 */
NBL_MUST_CHECK int nbl_binding_send(struct nbl_binding *b, struct nbl_chain chain, uint32_t flags);

/*
 * Has modules of 'lane' complete what they queue of its sends with this cancel id, as
 * SEND_ABORTED; what has gone further completes as ever. 'lane' at rest, or its thread
 * outside of handlers. Rules: CN-02, CN-04. Restates NdisCancelSendNetBufferLists.
 */
void nbl_binding_cancel(struct nbl_binding *b, struct nbl_lane *lane, uint64_t cancel_id);

/* The binding with this handle, NULL if it is closed: then counted as a violation. Rule: SH-08. */
struct nbl_binding *nbl_bindings_find(struct nbl_bindings *bs, uint32_t handle);

/* True if 'b' wants packets of the type of 'n' (borrows). */
bool nbl_binding_wants(const struct nbl_binding *b, uint16_t type_be);

/* ---- fanout.c ---- */

/*
 * Shows 'chain' to all who want it (takes, or with NBL_RECEIVE_RESOURCES borrows: the links
 * are as they were on return), the upper port last. What nobody keeps goes home. Lane
 * thread. Rules: RX-02, RX-07, RX-14, RX-15, PT-05..08, AMB-12.
 */
void nbl_bindings_indicate(struct nbl_lane *lane, struct nbl_chain chain, uint32_t port,
			   uint32_t flags);

/* ---- loopback.c ---- */

/*
 * For 'n' (borrows), just put on a TX ring of the lower port, and not before, for what is refused
 * is not shown: clones of what its sender wants to see enter at the bottom. Lane thread.
 * Rules: TX-14, TX-17.
 */
void nbl_bindings_loop(struct nbl_lane *lane, struct nbl *n);

/* ---- link.c ---- */

/* The upper port's receive(): takes, or with RESOURCES borrows. Lane thread. */
void nbl_upper_receive(struct nbl_lane *lane, struct nbl_chain chain, uint32_t port,
		       uint32_t flags);

#endif
