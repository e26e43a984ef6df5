// SPDX-License-Identifier: BSD-2-Clause
/* headers.c - keeping the headers in front of a layer, and putting them there again. */
#include "filter/checksum.h"
#include "filter/wfp_internal.h"

#include <nbl/window.h>

int nbl_headers_save(const struct nbl_classify_in *in, struct nbl_headers *ret)
{
	const struct nbl_classify_metadata *m = in->metadata;
	struct nbl_nb frame;
	const uint8_t *bytes;
	uint8_t storage[NBL_MAC_HEADER_MAX + NBL_IP_HEADERS_MAX];

	if (m->mac_header_size > NBL_MAC_HEADER_MAX || m->ip_header_size > NBL_IP_HEADERS_MAX)
		return -EMSGSIZE;
	/* only offsets of the copy move: the bytes in front are there */
	frame = *in->n->first_nb;
	if (nbl_nb_retreat(&frame, m->data_offset, 0, NULL) < 0)
		return -EMSGSIZE;
	bytes = nbl_nb_view(&frame, m->mac_header_size + m->ip_header_size, storage, 1, 0);
	if (!bytes)
		return -EMSGSIZE;
	memset(ret, 0, sizeof(*ret));
	ret->mac_size = (uint8_t)m->mac_header_size;
	ret->ip_size = (uint8_t)m->ip_header_size;
	memcpy(ret->mac, bytes, m->mac_header_size);
	memcpy(ret->ip, bytes + m->mac_header_size, m->ip_header_size);
	return 0;
}

static void write_all(struct nbl *n, const uint8_t *bytes, uint32_t size)
{
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		wfp_nb_write(nb, 0, bytes, size);
}

int wfp_headers_push_mac(struct nbl *n, const struct nbl_headers *h, struct nbl_pool *pool)
{
	int r;

	if (h->mac_size < 14 || h->mac_size > NBL_MAC_HEADER_MAX)
		return -EINVAL;
	r = nbl_retreat(n, h->mac_size, 0, pool);
	if (r < 0)
		return r;
	write_all(n, h->mac, h->mac_size);
	return 0;
}

/* True if 'h' has the IP header of a whole packet, and 'n' fits behind it. */
static bool ip_fits(const struct nbl *n, const struct nbl_headers *h)
{
	uint32_t most = 0xffffu - (h->ip[0] >> 4 == 4 ? h->ip_size : h->ip_size - 40u);

	if (h->ip_size > NBL_IP_HEADERS_MAX)
		return false;
	if (h->ip[0] >> 4 == 4) {
		if (h->ip_size < 20 || h->ip_size != (h->ip[0] & 15) * 4 || h->ip[6] & 0x3f ||
		    h->ip[7])
			return false;
	} else if (h->ip[0] >> 4 != 6 || h->ip_size < 40) {
		return false;
	}
	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		if (nb->data_length > most)
			return false;
	}
	return true;
}

static void write_length(struct nbl_nb *nb, bool v4)
{
	uint32_t length = v4 ? nb->data_length : nb->data_length - 40;
	const uint8_t bytes[] = { (uint8_t)(length >> 8), (uint8_t)length };

	wfp_nb_write(nb, v4 ? 2 : 4, bytes, 2);
}

int wfp_headers_push_ip(struct nbl *n, const struct nbl_headers *h, uint32_t backfill,
			struct nbl_pool *pool)
{
	int r;

	if (!ip_fits(n, h))
		return -EINVAL;
	r = nbl_retreat(n, h->ip_size, backfill, pool);
	if (r < 0)
		return r;
	write_all(n, h->ip, h->ip_size);
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		write_length(nb, h->ip[0] >> 4 == 4);
	return 0;
}

bool wfp_headers_fix(struct nbl *n, int skip)
{
	uint64_t requests = n->info[NBL_INFO_CHECKSUM];
	int fixed = 0;

	if (requests & NBL_CHECKSUM_REQUEST_IP)
		skip |= WFP_FIXED_IP;
	if (requests & NBL_CHECKSUM_REQUEST_TRANSPORT)
		skip |= WFP_FIXED_TRANSPORT;
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		fixed |= wfp_checksum_fix(nb, skip);
	return fixed;
}

int nbl_construct_ip_header(struct nbl *n, const struct nbl_headers *headers, struct nbl_pool *pool)
{
	int r;

	r = wfp_headers_push_ip(n, headers, 0, pool);
	if (r < 0)
		return r;
	n->info[NBL_INFO_CHECKSUM] &= ~(uint64_t)(NBL_CHECKSUM_REQUEST_IP |
						  NBL_CHECKSUM_REQUEST_TRANSPORT);
	wfp_headers_fix(n, 0);
	return 0;
}
