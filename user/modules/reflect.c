/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reflect.c - sends back, addresses swapped, what comes in on the lower port with one
 * EtherType: the far end of a loopback test.
 *
 * It shows how to forward without a copy: a received NBL is not itself sent, but a
 * child of it over the same bytes, which is the module's own; the parent is kept until
 * the child has completed. A borrowed one cannot be kept, so its packet is copied (DV-12).
 *
 * An edit in place is the fast way, and at a price: if the worker is killed between it and the
 * send, the packet runs again, is swapped back and goes out as it came (module.h). A loopback
 * test bears that; a module that does not takes the other way of make_child() always: a deep clone.
 */
#include "modules/modules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nbl/info.h>
#include <nbl/parse.h>

#define DEFAULT_TYPE	0x9000u		/* Ethernet's own configuration testing protocol */
#define EVERY_TYPE	0x10000u

struct reflect {
	uint32_t type;			/* EtherType, or EVERY_TYPE */
};

struct reflect_lane {
	uint64_t reflected, copied, failed;
};

/* An NBL's packets are of one type (DM-03). */
static bool is_wanted(const struct reflect *r, const struct nbl *n)
{
	uint32_t type = r->type;

	for (const struct nbl_nb *nb = n->first_nb; nb; nb = nb->next)
		if (nb->data_length < 14 || nbl_nb_segment_room(nb) < 14)
			return false;
	return type == EVERY_TYPE ||
	       nbl_nb_frame_type(n->first_nb) == __builtin_bswap16((uint16_t)type);
}

static void swap_addresses(struct nbl *n)
{
	for (struct nbl_nb *nb = n->first_nb; nb; nb = nb->next) {
		uint8_t *mac = nbl_nb_data(nb), destination[6];

		memcpy(destination, mac, 6);
		memcpy(mac, mac + 6, 6);
		memcpy(mac + 6, destination, 6);
	}
}

/*
 * What is sent for 'n', or NULL: a child over its bytes, changed in place, if nobody else can
 * see them; else one with bytes of its own.
 */
static struct nbl *make_child(const struct nbl_filter *f, struct nbl *n, bool in_place)
{
	struct reflect_lane *l = f->lane_state;
	struct nbl *child;

	if (in_place) {
		swap_addresses(n);
		return nbl_alloc_clone(n, f->pool);
	}
	if (nbl_alloc_deep_clone(n, f->pool, f->pool, &child) < 0)
		return NULL;
	l->copied++;
	swap_addresses(child);
	return child;
}

/* Sends 'child' (takes) as the module's own. False, and it is freed, if it cannot be now. */
static bool send_child(struct nbl_filter *f, struct nbl *child)
{
	struct nbl_chain own = NBL_CHAIN_EMPTY;

	nbl_filter_own(f, child);
	nbl_chain_append(&own, child);
	if (nbl_filter_originate_send(f, own, 0, 0) == 0)
		return true;
	if (child->kind == NBL_KIND_FRESH)
		nbl_free(child);
	else
		nbl_free_clone(child);
	return false;
}

/* True if 'n' is on its way back and kept until then; else it is as it was. */
static bool reflect(struct nbl_filter *f, struct nbl *n)
{
	struct reflect_lane *l = f->lane_state;
	bool in_place = nbl_is_writable(n);
	struct nbl *child = make_child(f, n, in_place);

	if (child && send_child(f, child)) {
		l->reflected++;
		return true;
	}
	if (in_place)
		swap_addresses(n);
	l->failed++;
	return false;
}

/* The same for one that must not be kept: by a copy. */
static bool reflect_borrowed(struct nbl_filter *f, struct nbl *n)
{
	struct reflect_lane *l = f->lane_state;
	struct nbl *copy;

	if (nbl_alloc_copy(n, f->pool, f->pool, &copy) < 0) {
		l->failed++;
		return false;
	}
	swap_addresses(copy);
	if (!send_child(f, copy)) {
		l->failed++;
		return false;
	}
	l->copied++;
	l->reflected++;
	n->outcome = NBL_OUTCOME_CONSUMED;
	return true;
}

/* The chain is as it was on return: each packet goes on by itself (RX-05). */
static void receive_borrowed(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			     uint32_t flags)
{
	struct nbl *next;

	for (struct nbl *n = chain.head; n; n = next) {
		struct nbl_chain one = NBL_CHAIN_EMPTY;

		next = n->next;
		if (is_wanted(f->context, n) && reflect_borrowed(f, n))
			continue;
		nbl_chain_append(&one, n);
		nbl_filter_indicate(f, one, port, flags);
		n->next = next;
	}
}

static void reflect_receive(struct nbl_filter *f, struct nbl_chain chain, uint32_t port,
			    uint32_t flags)
{
	struct nbl_chain others = NBL_CHAIN_EMPTY;
	struct nbl *n;

	if (flags & NBL_RECEIVE_RESOURCES) {
		receive_borrowed(f, chain, port, flags);
		return;
	}
	while ((n = nbl_chain_pop(&chain)))
		if (!is_wanted(f->context, n) || !reflect(f, n))
			nbl_chain_append(&others, n);
	if (others.head)
		nbl_filter_indicate(f, others, port, flags);
}

static void reflect_return(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	nbl_filter_return(f, chain);
}

/* Children that were sent, in a call of their own: frees them, and returns their parents. */
static void end_children(struct nbl_filter *f, struct nbl_chain chain)
{
	struct nbl_chain parents = NBL_CHAIN_EMPTY;
	struct nbl *child;

	while ((child = nbl_chain_pop(&chain))) {
		struct nbl *parent = child->parent;

		if (!parent) {
			nbl_free(child);
			continue;
		}
		nbl_free_clone(child);
		parent->outcome = NBL_OUTCOME_CONSUMED;
		nbl_chain_append(&parents, parent);
	}
	if (parents.head)
		nbl_filter_return(f, parents);
	if (!f->n_originated && f->state == NBL_MODULE_PAUSING)
		nbl_filter_pause_complete(f);
}

static void reflect_send_complete(struct nbl_filter *f, struct nbl_chain chain, uint32_t flags)
{
	(void)flags;
	if (nbl_filter_is_own(f, chain.head))
		end_children(f, chain);
	else
		nbl_filter_complete(f, chain);
}

static int reflect_pause(struct nbl_filter *f)
{
	return f->n_originated ? NBL_PENDING : 0;
}

/* ---- options ---- */

static int parse_type(const char *value, uint32_t *ret_type)
{
	char *end;
	unsigned long type = strtoul(value, &end, 0);

	if (!strcmp(value, "all")) {
		*ret_type = EVERY_TYPE;
		return 0;
	}
	if (*value < '0' || *value > '9' || *end || type < 0x600 || type > 0xffff)
		return -EINVAL;
	*ret_type = (uint32_t)type;
	return 0;
}

static int reflect_attach(const struct nbl_option *options, uint32_t n_options, void **ret_context,
			  char *error, size_t error_size)
{
	struct reflect *r = malloc(sizeof(*r));

	if (!r) {
		snprintf(error, error_size, "reflect: out of memory (ENOMEM)");
		return -ENOMEM;
	}
	r->type = DEFAULT_TYPE;
	for (uint32_t i = 0; i < n_options; i++) {
		if (!strcmp(options[i].key, "type") && !parse_type(options[i].value, &r->type))
			continue;
		snprintf(error, error_size,
			 "reflect: %s=%s makes no sense (EINVAL). Try: type=0x600..0xffff, type=all",
			 options[i].key, options[i].value);
		free(r);
		return -EINVAL;
	}
	*ret_context = r;
	return 0;
}

const struct nbl_module nbl_module_reflect = {
	.version = NBL_MODULE_VERSION,
	.size = sizeof(struct nbl_module),
	.name = "reflect",
	.help = "sends what comes in on the lower port back, addresses swapped",
	.options_help = "type=EtherType or all (0x9000)",
	.flags = NBL_MODULE_HOLDS | NBL_MODULE_ORIGINATES_SENDS,
	.lane_state_size = sizeof(struct reflect_lane),
	.attach = reflect_attach,
	.detach = free,
	.receive = reflect_receive,
	.receive_return = reflect_return,
	.send_complete = reflect_send_complete,
	.pause = reflect_pause,
	.status = nbl_filter_pass_status,
};
