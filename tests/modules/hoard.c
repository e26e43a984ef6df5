/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hoard.c - a module that never gives anything back, for tests of what it costs others.
 *
 * It keeps every packet with one UDP source port: of those it is given, one half as their owner,
 * the other by a reference it never drops; of those it is only lent it takes a reference, too,
 * which no module should. It hears of pauses and does nothing about them. All others pass.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules/test_modules.h"

#define HIGHEST_PORT 65535

struct hoard {
	uint16_t port_be;		/* as it stands in the packet: big-endian */
};

struct hoard_lane {
	bool owned_last;		/* the last one was kept as owner: reference the next */
};

static bool is_wanted(const struct hoard *h, const struct nbl *n)
{
	struct { struct ethhdr eth; struct iphdr ip; struct udphdr udp; } __attribute__((packed)) p;

	if (n->first_nb->data_length < sizeof(p) || nbl_nb_segment_room(n->first_nb) < sizeof(p))
		return false;
	memcpy(&p, nbl_nb_data(n->first_nb), sizeof(p));
	return p.eth.h_proto == htons(ETH_P_IP) && p.ip.protocol == IPPROTO_UDP && p.ip.ihl == 5 &&
	       p.udp.source == h->port_be;
}

/*
 * A chain that is lent must be the same linked list on return (RX-05): those that pass do so one by
 * one, each in a chain of its own, and get back the 'next' that this took.
 */
static void receive_lent(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			 uint32_t flags)
{
	struct nbl *next;

	for (struct nbl *n = chain.head; n; n = next) {
		struct nbl_chain one = NBL_CHAIN_EMPTY;

		next = n->next;
		if (is_wanted(f->context, n)) {
			nbl_reference(n, false);
			continue;
		}
		nbl_chain_append(&one, n);
		nbl_filter_indicate(f, one, port, flags);
		n->next = next;
	}
}

static void hoard_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	struct nbl_chain others = NBL_CHAIN_EMPTY, referenced = NBL_CHAIN_EMPTY;
	struct hoard_lane *l = f->lane_state;
	struct nbl *n;

	if (flags & NBL_RECEIVE_RESOURCES) {
		receive_lent(f, chain, port, flags);
		return;
	}
	while ((n = nbl_chain_pop(&chain))) {
		if (!is_wanted(f->context, n)) {
			nbl_chain_append(&others, n);
			continue;
		}
		l->owned_last = !l->owned_last;
		if (l->owned_last)
			continue;	/* and is not heard of again */
		nbl_reference(n, false);
		nbl_chain_append(&referenced, n);
	}
	if (others.head)
		nbl_filter_indicate(f, others, port, flags);
	/* given back, but not home before the references are dropped: never */
	if (referenced.head)
		nbl_filter_return(f, referenced);
}

static int hoard_pause(struct nbl_filter *f)
{
	(void)f;
	return 0;
}

static int hoard_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
			char *error, size_t error_size)
{
	unsigned long port = n_options == 1 && !strcmp(options[0].key, "port") ?
			     strtoul(options[0].value, NULL, 10) : 0;
	struct hoard *h;

	if (!port || port > HIGHEST_PORT) {
		snprintf(error, error_size, "hoard: it takes port=1..65535");
		return -EINVAL;
	}
	h = malloc(sizeof(*h));
	if (!h) {
		snprintf(error, error_size, "hoard: out of memory (ENOMEM)");
		return -ENOMEM;
	}
	h->port_be = htons((uint16_t)port);
	*ret_context = h;
	return 0;
}

const struct nbl_module hoard_module = {
	.version = NBL_MODULE_VERSION,
	.size = sizeof(struct nbl_module),
	.name = "hoard",
	.help = "keeps every packet with one UDP source port for ever",
	.options_help = "port=UDP source port",
	.flags = NBL_MODULE_HOLDS,
	.lane_state_size = sizeof(struct hoard_lane),
	.attach = hoard_attach,
	.detach = free,
	.receive = hoard_receive,
	.pause = hoard_pause,
	.status = nbl_filter_pass_status,
};
