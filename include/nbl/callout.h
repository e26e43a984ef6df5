/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * callout.h - what the author of a callout sees of the filter engine.
 *
 * A callout is a classify function that the engine calls for packets that match
 * a filter at a layer. It answers with an action; it may also keep the packet
 * (reference, clone) and send it on later (inject.h). Neighbours: derive.h makes
 * clones, window.h moves the used data, tag.h attaches numbers to NBLs.
 *
 * Layers show an NBL with its used data beginning at a fixed place (CL-15):
 *
 *   INBOUND_MAC_FRAME_NATIVE, OUTBOUND_MAC_FRAME_*        the MAC header
 *   INBOUND_MAC_FRAME_ETHERNET                            the IP header (behind the MAC header)
 *   INBOUND_IPPACKET_*                                    the transport header
 *   OUTBOUND_IPPACKET_*, IPFORWARD_*                      the IP header
 *   INBOUND_TRANSPORT_*, DATAGRAM_DATA_* inbound          the payload
 *   OUTBOUND_TRANSPORT_*, DATAGRAM_DATA_* outbound        the transport header
 *
 * The headers in front are in the unused bytes: metadata tells their sizes. To
 * clone a whole frame: nbl_retreat(), clone, nbl_advance() by the same number.
 *
 * An action is one thing, the right to override it another. A callout that finds
 * NBL_RIGHT_ACTION_WRITE set may choose any action; without it, it may only turn
 * PERMIT into BLOCK (a veto). BLOCK always gives the right up, unless it comes with
 * NBL_CLASSIFY_SOFT; so do PERMIT under a filter with NBL_WFP_CLEAR_ACTION_RIGHT,
 * and a reference taken with intend_to_modify. The engine sees to it and counts
 * those who forgot (CL-03, CL-04, RF-08). Under a filter whose action is inspection
 * it is never set, and no answer decides anything.
 *
 * To pend a packet: find the right set, keep a reference or clone, answer BLOCK
 * with NBL_CLASSIFY_ABSORB; later inject it or let it go (CL-07, PE-01). A clone is
 * its holder's at once. A referenced original is the engine's until
 * nbl_is_let_go(): before that no other thread may touch it.
 *
 * Classify functions run on lane threads, on several at once, and must not block.
 */
#ifndef NBL_CALLOUT_H
#define NBL_CALLOUT_H

#include <nbl/derive.h>

struct nbl_wfp;			/* the filter engine of one adapter */

/*
 * In the order of a packet's way: inbound from the top down,
 * outbound from the bottom up of each group.
 */
enum nbl_layer {
	NBL_LAYER_INBOUND_MAC_FRAME_NATIVE,
	NBL_LAYER_INBOUND_MAC_FRAME_ETHERNET,
	NBL_LAYER_INBOUND_IPPACKET_V4,
	NBL_LAYER_INBOUND_IPPACKET_V6,
	NBL_LAYER_INBOUND_TRANSPORT_V4,
	NBL_LAYER_INBOUND_TRANSPORT_V6,
	NBL_LAYER_DATAGRAM_DATA_V4,		/* both directions; every protocol but TCP */
	NBL_LAYER_DATAGRAM_DATA_V6,
	NBL_LAYER_OUTBOUND_TRANSPORT_V4,
	NBL_LAYER_OUTBOUND_TRANSPORT_V6,
	NBL_LAYER_OUTBOUND_IPPACKET_V4,
	NBL_LAYER_OUTBOUND_IPPACKET_V6,
	NBL_LAYER_IPFORWARD_V4,
	NBL_LAYER_IPFORWARD_V6,
	NBL_LAYER_OUTBOUND_MAC_FRAME_ETHERNET,
	NBL_LAYER_OUTBOUND_MAC_FRAME_NATIVE,
	NBL_N_LAYERS,

	/* known by name, not offered: nothing here has connections or streams (CL-01) */
	NBL_LAYER_STREAM_V4 = NBL_N_LAYERS,
	NBL_LAYER_STREAM_V6,
	NBL_LAYER_ALE_AUTH_CONNECT_V4,
	NBL_LAYER_ALE_AUTH_CONNECT_V6,
	NBL_LAYER_ALE_AUTH_RECV_ACCEPT_V4,
	NBL_LAYER_ALE_AUTH_RECV_ACCEPT_V6,
	NBL_LAYER_ALE_FLOW_ESTABLISHED_V4,
	NBL_LAYER_ALE_FLOW_ESTABLISHED_V6,
	NBL_N_KNOWN_LAYERS
};

#define NBL_LAYER_BIT(layer) (1u << (layer))

enum nbl_direction {
	NBL_DIRECTION_INBOUND,
	NBL_DIRECTION_OUTBOUND,
	NBL_DIRECTION_FORWARD,
};

/*
 * What can be known of a packet. Conditions of filters name these; values_present has their bits.
 */
enum nbl_field {
	NBL_FIELD_MAC_SOURCE,
	NBL_FIELD_MAC_DESTINATION,
	NBL_FIELD_ETHER_TYPE,			/* behind VLAN tags */
	NBL_FIELD_VLAN_ID,			/* of the outermost tag */
	NBL_FIELD_IP_VERSION,
	NBL_FIELD_IP_SOURCE,
	NBL_FIELD_IP_DESTINATION,
	NBL_FIELD_IP_PROTOCOL,			/* behind IPv6 extension headers */
	NBL_FIELD_IP_FRAGMENT,			/* 0 = whole, else enum nbl_fragment bits */
	NBL_FIELD_PORT_SOURCE,			/* TCP, UDP, UDP-Lite, SCTP */
	NBL_FIELD_PORT_DESTINATION,
	NBL_FIELD_ICMP_TYPE,
	NBL_FIELD_ICMP_CODE,
	NBL_FIELD_TCP_FLAGS,
	NBL_FIELD_DIRECTION,
	/*
	 * ifindex it came by, or leaves by when outbound. Not known in an adapter: it has one
	 * interface below, one above, and the direction tells which.
	 */
	NBL_FIELD_INTERFACE,
	NBL_FIELD_QUEUE,
	NBL_FIELD_PORT,				/* port number, as in struct nbl */
	/* the same, seen from this host: inbound local = destination; forward local = source */
	NBL_FIELD_MAC_LOCAL,
	NBL_FIELD_MAC_REMOTE,
	NBL_FIELD_IP_LOCAL,
	NBL_FIELD_IP_REMOTE,
	NBL_FIELD_PORT_LOCAL,
	NBL_FIELD_PORT_REMOTE,
	NBL_N_FIELDS
};

#define NBL_FIELD_BIT(field) (1u << (field))

enum nbl_fragment {
	NBL_FRAGMENT_FIRST = 1,
	NBL_FRAGMENT_LATER = 2,			/* no transport header in it */
};

/* The fixed values of a packet: numbers in host order, addresses as on the wire. */
struct nbl_values {
	uint32_t present;			/* NBL_FIELD_BIT of each that is known */
	uint8_t mac_source[6], mac_destination[6];
	uint16_t ether_type;
	uint16_t vlan_id;
	uint8_t ip_version;			/* 4, 6 or 0 */
	uint8_t ip_protocol;
	uint8_t ip_fragment;
	uint8_t tcp_flags;
	uint8_t icmp_type, icmp_code;
	uint16_t port_source, port_destination;
	uint8_t ip_source[16], ip_destination[16];	/* IPv4: the first 4 bytes */
	uint8_t direction;			/* enum nbl_direction */
	uint32_t interface;
	uint32_t queue;
	uint32_t port;
};

/* What else is known (FWPS_INCOMING_METADATA_VALUES). A size of 0: no such header found. */
struct nbl_classify_metadata {
	uint16_t mac_header_size;		/* with VLAN tags: 14, 18, ... */
	uint16_t ip_header_size;		/* with options and extension headers */
	uint16_t transport_header_size;
	uint16_t data_offset;			/* of this layer's used data in the frame */
	uint32_t ip_total_size;			/* what the IP header says, header included */
	uint16_t fragment_offset;		/* bytes */
	uint64_t flow;				/* this packet's flow, 0 = without contexts */
};

/* What a classify function answers (CL-02). */
enum nbl_action {
	NBL_ACTION_NONE,		/* no answer: the verdict before it stands */
	NBL_ACTION_NONE_NO_MATCH,	/* the same: it was not meant */
	NBL_ACTION_CONTINUE,		/* asks the next filter of the sub-layer */
	NBL_ACTION_PERMIT,
	NBL_ACTION_BLOCK,
};

enum nbl_rights {
	NBL_RIGHT_ACTION_WRITE = 1u << 0,
};

enum nbl_classify_flags {
	/* with BLOCK: silently, because the callout keeps it (CL-05) */
	NBL_CLASSIFY_ABSORB	= 1u << 0,
	/* with BLOCK, without ABSORB: lower sub-layers may permit (CL-06) */
	NBL_CLASSIFY_SOFT	= 1u << 1,
};

/* Flags of a filter. */
enum nbl_wfp_filter_flags {
	NBL_WFP_CLEAR_ACTION_RIGHT		= 1u << 0,	/* its PERMIT is hard */
	/* without its callout: as if it were not there, not BLOCK */
	NBL_WFP_PERMIT_IF_UNREGISTERED		= 1u << 1,
};

/* The filter that led to the callout. */
struct nbl_wfp_filter {
	uint64_t id;
	uint64_t context;		/* the filter's own number for its callout */
	uint64_t weight;
	uint16_t sublayer;
	uint16_t flags;			/* enum nbl_wfp_filter_flags */
};

/* All pointers: returned borrowed, until classify returns. */
struct nbl_classify_in {
	struct nbl_wfp *wfp;
	enum nbl_layer layer;
	uint32_t callout;			/* the id it is registered by */
	void *context;				/* of the registration */
	const struct nbl_values *values;
	const struct nbl_classify_metadata *metadata;
	struct nbl *n;				/* layerData; NULL where a layer has no packet */
	const struct nbl_wfp_filter *filter;
	uint64_t flow_context;			/* this callout's, 0 = none */
	uint64_t now_ns;
	enum nbl_action previous;		/* of the sub-layers above: NONE, PERMIT, BLOCK */
};

struct nbl_classify_out {
	enum nbl_action action;			/* NONE on entry */
	uint32_t rights;			/* enum nbl_rights; clear what you give up */
	uint32_t flags;				/* enum nbl_classify_flags */
};

/* What a callout is told besides packets. */
enum nbl_callout_event {
	NBL_CALLOUT_FILTER_ADDED,
	NBL_CALLOUT_FILTER_DELETED,
};

/* What a callout declares about itself. */
enum nbl_callout_flags {
	NBL_CALLOUT_CONDITIONAL_ON_FLOW	= 1u << 0,	/* only flows with its context (CL-13) */
	NBL_CALLOUT_BATCH_MAY_HOLD	= 1u << 1,	/* no ban of CL-10 for batches (AMB-07) */
};

#define NBL_CALLOUT_VERSION 1
#define NBL_CALLOUT_NAME_MAX 32
#define NBL_MAX_CALLOUTS 64

struct nbl_callout {
	uint32_t version;			/* NBL_CALLOUT_VERSION */
	uint32_t size;				/* sizeof(struct nbl_callout) */
	const char *name;			/* for messages and figures */
	uint32_t layers;			/* NBL_LAYER_BIT of each it supports */
	uint32_t flags;				/* enum nbl_callout_flags */
	uint32_t owner;				/* its module's number, not 0; see inject.h */
	uint64_t budget_ns;			/* longer classifies are counted; 0 = 1 ms */
	void *context;				/* in->context; the caller's, must outlive it */

	/* Borrows 'in', fills 'out'. Required. */
	void (*classify)(const struct nbl_classify_in *in, struct nbl_classify_out *out);
	/*
	 * Takes the place of classify() at MAC layers, if not NULL: n packets of one
	 * filter at once, in order. It may not reference, dereference, clone or free
	 * clones (CL-10), unless it declared NBL_CALLOUT_BATCH_MAY_HOLD.
	 */
	void (*classify_batch)(const struct nbl_classify_in *in, struct nbl_classify_out *out,
			       uint32_t n);
	/* Told when a filter that names it comes or goes. Control thread. May be NULL. */
	void (*notify)(void *context, enum nbl_callout_event event,
		       const struct nbl_wfp_filter *filter);
	/*
	 * Told once for each flow context that ends, whatever ended it, when no classify
	 * uses it any more. One thread at a time, maybe a lane's: must not block.
	 * Required for nbl_flow_associate().
	 */
	void (*flow_deleted)(void *context, enum nbl_layer layer, uint64_t flow_context);
};

/* ---- registering: control thread ---- */

/*
 * Registers 'callout' (borrows; its strings and contents are copied). Fills
 * ret_id. Returns 0; -EOPNOTSUPP if it names a layer that is not offered; -EINVAL
 * if version, size, name, owner, layers or functions do not fit; -ENOSPC when
 * NBL_MAX_CALLOUTS are registered; -ENOMEM.
 * Rule: CL-01. Restates FwpsCalloutRegister.
 */
NBL_API NBL_MUST_CHECK int nbl_callout_register(struct nbl_wfp *wfp,
						const struct nbl_callout *callout,
						uint32_t *ret_id);

/*
 * Ends a registration. From the first call on it is not called for packets any
 * more. Returns 0 when it is gone: no classify runs, and no flow context,
 * reference, clone or copy of it is left. -EBUSY before that: call again later.
 * -ENOENT for an id that is not registered.
 * Filters that name it stay, without effect or blocking, as their flags say.
 * Rule: CL-12. Restates FwpsCalloutUnregisterById.
 */
NBL_API NBL_MUST_CHECK int nbl_callout_unregister(struct nbl_wfp *wfp, uint32_t id);

/* ---- holding: any thread; accounted to callout 'id' until undone (CL-12) ---- */

/*
 * As nbl_reference() (keeps), in the name of callout 'id'. 0; -EINVAL inside a
 * batch classify (CL-10), -EBUSY inside a classify of what was lent to the stack
 * (RX-04: a clone is made a copy there), 'n' unchanged; -ENOENT for an unknown id.
 * Rule: RF-01, RF-08. Restates FwpsReferenceNetBufferList0.
 */
NBL_API int nbl_callout_reference(struct nbl_wfp *wfp, uint32_t id, struct nbl *n,
				  bool intend_to_modify);

/*
 * Ends one of these (takes that reference). 0; -EINVAL as above or if there is none.
 * Rule: RF-02. Restates FwpsDereferenceNetBufferList0.
 */
NBL_API int nbl_callout_dereference(struct nbl_wfp *wfp, uint32_t id, struct nbl *n);

/*
 * As nbl_alloc_clone() (keeps 'n', borrows 'pool'; NULL = the default), telling
 * tags of it; of what was lent to the stack, as nbl_alloc_copy(). Fills ret_clone: owned,
 * nbl_callout_free(). 0; -EINVAL inside a batch classify; -ENOBUFS when the pool is exhausted;
 * -ENOENT. Rules: RF-11, CL-10, CL-12. Restates FwpsAllocateCloneNetBufferList0.
 */
NBL_API NBL_MUST_CHECK int nbl_callout_clone(struct nbl_wfp *wfp, uint32_t id, struct nbl *n,
					     struct nbl_pool *pool, struct nbl **ret_clone);

/*
 * The same for nbl_alloc_deep_clone(), with its errors. Rules: RF-09, RF-11. Restates
 * FwpsAllocateDeepCloneNetBufferList0.
 */
NBL_API NBL_MUST_CHECK int nbl_callout_deep_clone(struct nbl_wfp *wfp, uint32_t id, struct nbl *n,
						  struct nbl_pool *nbl_pool,
						  struct nbl_pool *data_pool,
						  struct nbl **ret_clone);

/*
 * The same for nbl_alloc_copy() (borrows 'n'): the copy has no parent, but its
 * injections so far are remembered (IN-10).
 */
NBL_API NBL_MUST_CHECK int nbl_callout_copy(struct nbl_wfp *wfp, uint32_t id, struct nbl *n,
					    struct nbl_pool *nbl_pool, struct nbl_pool *data_pool,
					    struct nbl **ret_copy);

/*
 * Frees what one of the three made (takes). 0; -EINVAL inside a batch
 * classify, or for an NBL of another kind. Rule: RF-13. Restates FwpsFreeCloneNetBufferList0
 * and FwpsFreeNetBufferList0.
 */
NBL_API int nbl_callout_free(struct nbl_wfp *wfp, uint32_t id, struct nbl *n);

/*
 * True when the path 'n' came by is done with it (borrows): who has a reference
 * may then read, clone and inject it on any thread, and sees all the engine wrote.
 * Rules: CL-07, PE-01.
 */
NBL_API bool nbl_is_let_go(const struct nbl *n);

/* ---- flows ---- */

/*
 * Attaches 'flow_context' (not 0) of this callout to the flow of the packet being
 * classified, at its layer; both directions are one flow. Inside classify only.
 * Fills ret_flow. 0; -EEXIST if it has one there; -EOPNOTSUPP if the packet has no
 * addresses and protocol, or is a later fragment; -ENOSPC when the flow is full, or its part
 * of the table; -EAGAIN while another thread is at it; -EINVAL without flow_deleted() or with
 * context 0. Rule: CL-13. Restates FwpsFlowAssociateContext0.
 */
NBL_API int nbl_flow_associate(const struct nbl_classify_in *in, uint64_t flow_context,
			       uint64_t *ret_flow);

/*
 * Takes the context of callout 'id' at 'layer' off 'flow'; flow_deleted() follows
 * soon. Any thread. 0 or -ENOENT. Restates FwpsFlowRemoveContext0.
 */
NBL_API int nbl_flow_remove(struct nbl_wfp *wfp, uint64_t flow, enum nbl_layer layer, uint32_t id);

/* ---- callouts that are started by name ---- */

struct nbl_option;			/* module.h */

/* What one is started with. All borrowed until it is stopped. */
struct nbl_callout_start {
	struct nbl_wfp *wfp;
	uint32_t owner;			/* to register callouts and make handles with */
	const struct nbl_option *options;	/* borrows during start() only */
	uint32_t n_options;
};

struct nbl_callout_kind_counts {
	uint64_t seen;			/* packets answered for */
	uint64_t skipped;		/* injected before, or without the right */
	uint64_t missed;		/* no memory or no room: let go unseen or unchanged */
	uint64_t injected, completed, failed;	/* failed: completed with an error */
	uint64_t discarded;		/* not let go on */
};

/*
 * A callout as something to choose by name: the filter module starts it and works off what it
 * keeps.
 */
struct nbl_callout_kind {
	const char *name;
	const char *options_help;	/* "key=what ..." or NULL */
	/*
	 * Registers it (borrows 'start'; fills ret_context: owned, stop()). 0, or negative
	 * errno with a sentence in 'error', of 'error_size' bytes. Control thread.
	 */
	int (*start)(const struct nbl_callout_start *start, void **ret_context, char *error,
		     size_t error_size);
	/*
	 * Frees it (takes, if 0); -EBUSY while it holds packets or its injections are out. Control
	 * thread.
	 */
	int (*stop)(void *context);
	/* The id that filters name it by. */
	uint32_t (*id)(const void *context);
	/*
	 * Works off what it keeps and is due at now_ns; UINT64_MAX: all of it. Optional. One
	 * thread at a time, soon after it absorbed something. Returns when it wants to be
	 * called again, 0 = when it absorbs.
	 */
	uint64_t (*run)(void *context, uint64_t now_ns);
	/* fills; any thread */
	void (*get_counts)(const void *context, struct nbl_callout_kind_counts *ret);
};

/* ---- what does not exist here ---- */

/*
 * Always -EOPNOTSUPP ("cannot pend"): only connection layers have these, and none
 * is offered. Pend as described above.
 * Rules: PE-02, PE-03. Restate FwpsPendOperation0, FwpsCompleteOperation0, FwpsPendClassify0,
 * FwpsCompleteClassify0.
 */
NBL_API int nbl_pend_operation(const struct nbl_classify_in *in, uint64_t *ret_completion_context);
NBL_API int nbl_complete_operation(uint64_t completion_context, struct nbl *n);
NBL_API int nbl_pend_classify(const struct nbl_classify_in *in, uint64_t *ret_handle);
NBL_API int nbl_complete_classify(uint64_t handle, const struct nbl_classify_out *out);

#endif
