/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inject.h - putting NBLs back into a path: clones, copies, absorbed originals.
 *
 * An injected NBL re-enters inbound from the bottom or outbound from the top and
 * may be classified again, also by its injector: ask nbl_inject_query() and
 * answer PERMIT or CONTINUE for what you injected before (IN-09). Forwarded
 * injections are not classified again (AMB-06).
 *
 * Every inject function is refused or done as a whole. 0: the NBL is the
 * engine's until the completion function is called, once, also when it could not
 * be sent after all. An error: nothing changed, the NBL is yours as before, and
 * the completion function is never called (IN-04). None blocks; any thread. Inside
 * classify nothing is classified before it returns (CL-14).
 *
 *   -ESTALE      the handle is unknown, was destroyed, or is not of this type (HANDLE_STALE)
 *   -ESHUTDOWN   the handle is being destroyed (HANDLE_CLOSING)
 *   -EAGAIN      the port is not ready: try later (NOT_READY)
 *   -ENXIO       no such port or interface
 *   -ENOENT      the handle's owner has no callout at the layer it injects to (IN-11)
 *   -EINVAL      not a packet that can go there; a part that is missing
 *   -EBUSY       it is injected already, or its path has not let go of it (nbl_is_let_go())
 *   -ELOOP       injected too often: something does not ask nbl_inject_query()
 *   -ENOBUFS     no descriptor or frame for headers, or no room to queue it
 *   -EOPNOTSUPP  a chain where one NBL is wanted (IN-16)
 *
 * What may be injected: NBLs you own (clones, copies, fresh ones): yours again in
 * the completion; and originals you absorbed and still reference (IN-12): the
 * engine keeps its own reference until completion, so yours may go at any time.
 * While injected, the reserved words of the NBL are the engine's.
 */
#ifndef NBL_INJECT_H
#define NBL_INJECT_H

#include <nbl/callout.h>
#include <nbl/chain.h>

/* What a handle may inject; 0 at creation stands for TRANSPORT, STREAM and FORWARD (IN-01). */
enum nbl_inject_type {
	NBL_INJECT_L2		= 1u << 0,
	NBL_INJECT_NETWORK	= 1u << 1,
	NBL_INJECT_FORWARD	= 1u << 2,
	NBL_INJECT_TRANSPORT	= 1u << 3,
	NBL_INJECT_STREAM	= 1u << 4,	/* accepted; nothing here injects streams */
};

enum nbl_family {
	NBL_FAMILY_UNSPEC,			/* both; the only one for L2 */
	NBL_FAMILY_V4,
	NBL_FAMILY_V6,
};

/* Where an injected NBL enters. */
enum nbl_inject_path {
	NBL_PATH_MAC_SEND,
	NBL_PATH_MAC_RECEIVE,
	NBL_PATH_NETWORK_SEND,
	NBL_PATH_NETWORK_RECEIVE,
	NBL_PATH_FORWARD,
	NBL_PATH_TRANSPORT_SEND,
	NBL_PATH_TRANSPORT_RECEIVE,
	NBL_N_INJECT_PATHS
};

#define NBL_MAX_INJECT_HANDLES 64
#define NBL_MAX_INJECTIONS 8	/* of one packet and its ancestors; then -ELOOP (IN-08) */
#define NBL_MAC_HEADER_MAX 30			/* 14 and four VLAN tags */
#define NBL_IP_HEADERS_MAX 128

/* The headers in front of a layer's used data, kept for a later injection at that layer. */
struct nbl_headers {
	uint8_t mac_size, ip_size;		/* 0 = not there */
	uint8_t mac[NBL_MAC_HEADER_MAX];
	uint8_t ip[NBL_IP_HEADERS_MAX];		/* IP header, options, extension headers */
};

/* Where to, from the metadata of classify (IN-15). */
struct nbl_inject_target {
	/* 0, the default port: an adapter's stack has no other, all others are -ENXIO */
	uint32_t port;
	uint32_t interface;			/* 0 = whatever the port has; others likewise */
	uint32_t queue;
	/* borrows; IP and transport paths need them, MAC paths do not */
	const struct nbl_headers *headers;
};

/*
 * Gets back what was injected (fills the caller's hands again): one NBL or
 * several at once, linked by next, all of one inject call or handle. 'status': 0
 * or above = done, negative errno = why not. A typical body frees clones and
 * dereferences originals. The thread that completes; must not block. Rules: IN-05, IN-06.
 */
typedef void (*nbl_inject_completed_fn)(void *context, struct nbl_chain chain, int status);

/*
 * What bits 0..3 of NBL_INFO_CHECKSUM ask of the port for a packet to be sent
 * (IN-13): software leaves it alone then.
 */
enum nbl_checksum_request {
	NBL_CHECKSUM_REQUEST_IP		= 1u << 0,
	NBL_CHECKSUM_REQUEST_TRANSPORT	= 1u << 1,
};

/* ---- handles: control thread ---- */

/*
 * Makes a handle of 'owner' (the number its callouts were registered with) for
 * 'types' of enum nbl_inject_type. Fills ret_handle, never 0. 0; -EINVAL for
 * unknown types, or L2 with another family than UNSPEC; -ENOSPC when
 * NBL_MAX_INJECT_HANDLES exist.
 * Rule: IN-01. Restates FwpsInjectionHandleCreate0.
 */
NBL_API NBL_MUST_CHECK int nbl_inject_handle_create(struct nbl_wfp *wfp, enum nbl_family family,
						    uint32_t types, uint32_t owner,
						    uint32_t *ret_handle);

/*
 * Destroys 'handle'. From the first call on it injects no more (-ESHUTDOWN). 0
 * when its last injection has completed; -EINPROGRESS before that: call again
 * later. -ESTALE if there is none.
 * Rule: IN-02. Restates FwpsInjectionHandleDestroy0.
 */
NBL_API NBL_MUST_CHECK int nbl_inject_handle_destroy(struct nbl_wfp *wfp, uint32_t handle);

/* ---- injecting: see above ---- */

/*
 * Puts 'chain' (takes, if 0 is returned) on the send or receive path as whole
 * frames: each begins at the MAC header, of which 14 bytes lie in one segment.
 * 'completed' may be NULL only if all are absorbed originals. Completions come in
 * any grouping. Rules: IN-06, IN-07, IN-12, AMB-17.
 * Restate FwpsInjectMacSendAsync0, FwpsInjectMacReceiveAsync0.
 */
NBL_API NBL_MUST_CHECK int nbl_inject_mac_send(struct nbl_wfp *wfp, uint32_t handle,
					       void *injection_context,
					       const struct nbl_inject_target *target,
					       struct nbl_chain chain,
					       nbl_inject_completed_fn completed,
					       void *completion_context);
NBL_API NBL_MUST_CHECK int nbl_inject_mac_receive(struct nbl_wfp *wfp, uint32_t handle,
						  void *injection_context,
						  const struct nbl_inject_target *target,
						  struct nbl_chain chain,
						  nbl_inject_completed_fn completed,
						  void *completion_context);

/*
 * Puts 'n' (takes, if 0 is returned) on the send, receive or forward path as an IP
 * packet: it begins at the IP header. The engine puts the MAC header of
 * target->headers in front and corrects the checksums that do not fit; the
 * window is back in the completion. Where that would change bytes a shallow clone shares with a
 * parent that no writes were announced for (RF-06), a copy is sent in its place. Never for
 * originals: MAC injection is for these.
 * Rules: IN-08, IN-13, IN-16. Restate FwpsInjectNetworkSendAsync0 and its like.
 */
NBL_API NBL_MUST_CHECK int nbl_inject_network_send(struct nbl_wfp *wfp, uint32_t handle,
						   void *injection_context,
						   const struct nbl_inject_target *target,
						   struct nbl *n, nbl_inject_completed_fn completed,
						   void *completion_context);
NBL_API NBL_MUST_CHECK int nbl_inject_network_receive(struct nbl_wfp *wfp, uint32_t handle,
						      void *injection_context,
						      const struct nbl_inject_target *target,
						      struct nbl *n,
						      nbl_inject_completed_fn completed,
						      void *completion_context);
NBL_API NBL_MUST_CHECK int nbl_inject_forward(struct nbl_wfp *wfp, uint32_t handle,
					      void *injection_context,
					      const struct nbl_inject_target *target,
					      struct nbl_chain chain,
					      nbl_inject_completed_fn completed,
					      void *completion_context);

/*
 * The same for what begins at the transport header: the IP header of
 * target->headers is put in front, with its length and checksum made to fit.
 * Restate FwpsInjectTransportSendAsync0, FwpsInjectTransportReceiveAsync0.
 */
NBL_API NBL_MUST_CHECK int nbl_inject_transport_send(struct nbl_wfp *wfp, uint32_t handle,
						     void *injection_context,
						     const struct nbl_inject_target *target,
						     struct nbl *n,
						     nbl_inject_completed_fn completed,
						     void *completion_context);
NBL_API NBL_MUST_CHECK int nbl_inject_transport_receive(struct nbl_wfp *wfp, uint32_t handle,
							void *injection_context,
							const struct nbl_inject_target *target,
							struct nbl *n,
							nbl_inject_completed_fn completed,
							void *completion_context);

/*
 * Keeps the headers in front of the packet being classified for a later injection
 * (borrows 'in', fills 'ret'). 0; -EMSGSIZE if they exceed the room there. Inside classify only.
 * Rules: CL-15, IN-13.
 */
NBL_API int nbl_headers_save(const struct nbl_classify_in *in, struct nbl_headers *ret);

/*
 * Puts the IP header of 'headers' in front of 'n', which begins at its transport
 * header, with lengths and all checksums made to fit (borrows both; 'pool' gives a
 * segment where there is no room). Offload requests in NBL_INFO_CHECKSUM are
 * cleared. 0; -EINVAL if there is no IP header or it does not fit; -ENOBUFS; 'n' unchanged then.
 * Rule: IN-13. Restates FwpsConstructIpHeaderForTransportPacket0.
 */
NBL_API NBL_MUST_CHECK int nbl_construct_ip_header(struct nbl *n, const struct nbl_headers *headers,
						   struct nbl_pool *pool);

/* ---- asking ---- */

enum nbl_injection_state {
	NBL_NOT_INJECTED,
	NBL_INJECTED_BY_SELF,			/* by this handle, last */
	NBL_INJECTED_BY_OTHER,			/* by others only */
	NBL_PREVIOUSLY_INJECTED_BY_SELF,	/* by this handle, then by another */
};

/*
 * Who injected 'n', or what it was cloned from, as seen by 'handle' (borrows).
 * Fills ret_context, unless NULL, with the injection_context given by this handle
 * (NULL if it did not inject it). Any thread that holds 'n'. Handles that exist are never
 * taken for each other. A new one may be answered PREVIOUSLY, without a context, for what was
 * injected by one long destroyed: places of handles are used again, the longest free first.
 * Rules: IN-09, IN-10, AMB-11. Restates FwpsQueryPacketInjectionState0.
 */
NBL_API enum nbl_injection_state nbl_inject_query(const struct nbl_wfp *wfp, uint32_t handle,
						  const struct nbl *n, void **ret_context);

#endif
