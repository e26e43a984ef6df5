/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - the port numbers of an adapter, their states, and the queue each stands for.
 *
 * Port 0, the default port, always exists and is always active: no queue in particular.
 * Any other number is allocated, then activated, before packets may use it; port i is the
 * lower port's queue i, counted from 1 (PT-04).
 *
 *   free --alloc--> allocated --activate--> active --deactivate--> closing
 *                       |   ^                                         | drained
 *   free <----free------+   +-----------------------------------------+
 *
 * Changes are made on the control thread while the lanes rest.
 */
#ifndef STACK_PORTS_H
#define STACK_PORTS_H

#include <stdatomic.h>

#include <nbl/contract.h>

#define NBL_MAX_PORT 0xffffffu

enum nbl_port_state {
	NBL_PORT_INACTIVE,		/* allocated, or free */
	NBL_PORT_ACTIVE,
	NBL_PORT_CLOSING,		/* takes no sends; some are out */
};

/* What packets need of one port. */
struct nbl_port_use {
	enum nbl_port_state state;
	_Atomic uint32_t n_out;		/* sends not complete */
};

struct nbl_ports {
	uint64_t *allocated;		/* bit i = port i */
	uint32_t n_words;
	uint32_t full_below;		/* words before this one are full */
	uint32_t n_queues;		/* of the lower port: ports above it cannot be activated */
	struct nbl_port_use *uses;	/* of ports 0 .. n_queues */
};

/* An adapter with only the default port, over 'n_queues' queues (fills 'ports'). 0 or -ENOMEM. */
NBL_MUST_CHECK int nbl_ports_init(struct nbl_ports *ports, uint32_t n_queues);
void nbl_ports_done(struct nbl_ports *ports);

/*
 * The lowest free number, 1..NBL_MAX_PORT, allocated and not active. -ENOSPC if all are;
 * -ENOMEM. Rule: PT-02. Restates NdisMAllocatePort.
 */
NBL_MUST_CHECK int nbl_ports_alloc(struct nbl_ports *ports);

/*
 * Makes 'port' free again. -EINVAL if it is not allocated, or is the default port; -EBUSY
 * while it is active or closing. Rule: PT-02. Restates NdisMFreePort.
 */
int nbl_ports_free(struct nbl_ports *ports, uint32_t port);

/*
 * Activates all of 'list' (borrows) or none. -EINVAL: one is not allocated or there twice,
 * or the default port, which must be alone, is not, or the list is empty; -EALREADY: one is
 * active, other than the default port by itself; -ENXIO: one has no queue. One that is closing
 * may be activated again. Rule: PT-03.
 */
NBL_MUST_CHECK int nbl_ports_activate(struct nbl_ports *ports, const uint32_t *list, uint32_t n);

/*
 * Deactivates all of 'list' (borrows). -EBUSY while sends on one of them are out: all take no
 * more from now on, and are inactive when it is asked again and none is out. -EINVAL: one is
 * not active or there twice, or the default port, which is always active. Rule: PT-03.
 */
NBL_MUST_CHECK int nbl_ports_deactivate(struct nbl_ports *ports, const uint32_t *list, uint32_t n);

/*
 * The lower port's queue that a send on 'port' must take, counted from 1; 0 = the engine
 * chooses. -ENETDOWN if the port is not active; -EINVAL if it does not exist. Lane thread.
 * Rules: PT-01, PT-03, PT-04.
 */
int nbl_ports_queue(const struct nbl_ports *ports, uint32_t port);

/*
 * Tells that a send on 'port', just allowed by
 * nbl_ports_queue(), is out, or has completed. Lane thread.
 */
void nbl_ports_note_sent(struct nbl_ports *ports, uint32_t port);
void nbl_ports_note_completed(struct nbl_ports *ports, uint32_t port);

#endif
