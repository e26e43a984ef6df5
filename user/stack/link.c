/* SPDX-License-Identifier: BSD-2-Clause */
/* link.c - the call tables: which handler each module's call, and each lane's, goes to. */
#include "stack/binding.h"
#include "stack/hops.h"

enum path { PATH_RECEIVE, PATH_RETURN, PATH_SEND, PATH_COMPLETE, N_PATHS };

/* Of each path: its hops and ends, and which way it goes. */
static const struct {
	nbl_hop_fn *hop, *past, *edge;
	int step;
	uint32_t bypass;		/* enum nbl_module_paths */
	uint32_t originates;		/* what comes back here, enum nbl_module_flags */
} paths[N_PATHS] = {
	[PATH_RECEIVE] = { nbl_hop_receive, NULL, nbl_edge_upper, 1, NBL_MODULE_RECEIVE, 0 },
	[PATH_RETURN] = { nbl_hop_receive_return, nbl_hop_own_return, nbl_edge_home, -1,
			  NBL_MODULE_RECEIVE, NBL_MODULE_ORIGINATES_RECEIVES },
	[PATH_SEND] = { nbl_hop_send, NULL, nbl_edge_lower, -1, NBL_MODULE_SEND, 0 },
	[PATH_COMPLETE] = { nbl_hop_send_complete, nbl_hop_own_complete, nbl_edge_home, 1,
			    NBL_MODULE_SEND, NBL_MODULE_ORIGINATES_SENDS },
};

static bool has_handler(const struct nbl_module *m, enum path path)
{
	switch (path) {
	case PATH_RECEIVE: return m->receive;
	case PATH_RETURN: return m->receive_return;
	case PATH_SEND: return m->send;
	case PATH_COMPLETE: return m->send_complete;
	case N_PATHS: break;
	}
	return false;
}

/* What to call of 'lf' on 'path', or NULL: it is passed by (FS-11). */
static nbl_hop_fn *hop_of(const struct nbl_lane_filter *lf, enum path path)
{
	if (!has_handler(lf->f.module, path))
		return NULL;
	if (!(lf->of->bypass & paths[path].bypass))
		return paths[path].hop;
	return lf->f.module->flags & paths[path].originates ? paths[path].past : NULL;
}

/* The hop from 'from' along 'path', looking at filters from position 'i' on. */
static struct nbl_hop next_hop(struct nbl_lane *lane, enum path path, int i,
			       struct nbl_filter *from)
{
	for (; i >= 0 && i < (int)lane->n_filters; i += paths[path].step) {
		nbl_hop_fn *hop = hop_of(lane->filters[i], path);

		if (hop)
			return (struct nbl_hop){ hop, &lane->filters[i]->f };
	}
	return (struct nbl_hop){ paths[path].edge, from };
}

/* Who indicates to each, to tell who broke a rule. */
static void link_below(struct nbl_lane *lane)
{
	struct nbl_lane_filter *below = NULL;

	for (uint32_t i = 0; i < lane->n_filters; i++) {
		lane->filters[i]->below = below;
		if (hop_of(lane->filters[i], PATH_RECEIVE))
			below = lane->filters[i];
	}
}

static void link_lane(struct nbl_lane *lane, bool open)
{
	int top = (int)lane->n_filters - 1;
	struct nbl_filter *edge = &lane->edge.f;

	for (int i = 0; i <= top; i++) {
		struct nbl_filter *f = &lane->filters[i]->f;

		f->indicate = next_hop(lane, PATH_RECEIVE, i + 1, f);
		f->give_back = next_hop(lane, PATH_RETURN, i - 1, f);
		f->send = next_hop(lane, PATH_SEND, i - 1, f);
		f->complete = next_hop(lane, PATH_COMPLETE, i + 1, f);
	}
	lane->indicate_first = next_hop(lane, PATH_RECEIVE, 0, edge);
	lane->return_first = next_hop(lane, PATH_RETURN, top, edge);
	lane->send_first = next_hop(lane, PATH_SEND, top, edge);
	lane->complete_first = next_hop(lane, PATH_COMPLETE, 0, edge);
	lane->returns_unseen = lane->return_first.to == edge;
	lane->completes_unseen = lane->complete_first.to == edge;
	lane->closed = !open;
	if (!open) {
		lane->indicate_first = (struct nbl_hop){ nbl_closed_receive, edge };
		lane->send_first = (struct nbl_hop){ nbl_closed_send, edge };
	}
	link_below(lane);
}

static bool wants_types(const struct nbl_lane *lane)
{
	for (uint32_t i = 0; i < lane->n_filters; i++)
		if (lane->filters[i]->f.module->flags & NBL_MODULE_WANTS_TYPES)
			return true;
	return nbl_bindings_want_types(lane);
}

void nbl_stack_link(struct nbl_stack *s)
{
	for (uint32_t l = 0; l < s->n_lanes; l++) {
		struct nbl_lane *lane = &s->lanes[l];

		for (uint32_t i = 0; i < s->n_modules; i++) {
			lane->filters[i] = &s->modules[i].filters[l];
			lane->filters[i]->of = &s->modules[i];
			lane->filters[i]->f.pool = lane->pool;
		}
		lane->n_filters = s->n_modules;
		lane->edge.stack = s;
		nbl_lane_set_end(lane, NBL_ORIGIN_MODULE, nbl_end_of_modules, s);
		link_lane(lane, s->open);
		lane->parses = wants_types(lane);
	}
}
