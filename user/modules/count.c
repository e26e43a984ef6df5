/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count.c - counts what passes, both ways; changes nothing. The smallest module: copy it to begin.
 */
#include "modules/modules.h"

struct count {
	uint64_t received_packets;
	uint64_t received_bytes;
	uint64_t sent_packets;
	uint64_t sent_bytes;
};

/* An NBL that is sent may be several packets (DM-03). */
static void add_chain(const struct nbl_chain *chain, uint64_t *packets, uint64_t *bytes)
{
	uint64_t n_packets = 0, n_bytes = 0;

	for (const struct nbl *n = chain->head; n; n = n->next) {
		for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
			n_packets++;
			n_bytes += nb->data_length;
		}
	}
	*packets += n_packets;
	*bytes += n_bytes;
}

static void count_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	struct count *c = f->lane_state;

	add_chain(&chain, &c->received_packets, &c->received_bytes);
	nbl_filter_indicate(f, chain, port, flags);
}

static void count_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct count *c = f->lane_state;

	add_chain(&chain, &c->sent_packets, &c->sent_bytes);
	nbl_filter_send(f, chain, port, flags);
}

const struct nbl_module nbl_module_count = {
	.version = NBL_MODULE_VERSION,
	.size = sizeof(struct nbl_module),
	.name = "count",
	.help = "counts packets and bytes, both ways",
	.lane_state_size = sizeof(struct count),
	.receive = count_receive,
	.send = count_send,
	.status = nbl_filter_pass_status,
};
