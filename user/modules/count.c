/* SPDX-License-Identifier: BSD-2-Clause */
/* count.c - counts what passes, both ways; changes nothing. The smallest module: copy it to begin. */
#include "modules/modules.h"

struct count {
	uint64_t received_packets;
	uint64_t received_bytes;
	uint64_t sent_packets;
	uint64_t sent_bytes;
};

static uint64_t chain_bytes(const struct nbl_chain *chain)
{
	uint64_t bytes = 0;

	for (const struct nbl *n = chain->head; n; n = n->next)
		bytes += nbl_size(n);
	return bytes;
}

static void count_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			  uint32_t flags)
{
	struct count *c = f->lane_state;

	c->received_packets += chain.n_nbls;
	c->received_bytes += chain_bytes(&chain);
	nbl_filter_indicate(f, chain, port, flags);
}

static void count_send(struct nbl_filter *f, struct nbl_chain chain, uint32_t port, uint32_t flags)
{
	struct count *c = f->lane_state;

	c->sent_packets += chain.n_nbls;
	c->sent_bytes += chain_bytes(&chain);
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
