/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_watch.c - what the modules and the kernel tell, passed on to the model. */
#include "sim/sim_world.h"

#include <stdio.h>

static struct sim_world *world;

void sim_on_end(void *arg, struct nbl_lane *lane, struct nbl_chain chain)
{
	struct sim_world *w = arg;
	struct nbl *n;

	(void)lane;
	while ((n = nbl_chain_pop(&chain))) {
		uint16_t id = nbl_handle_module_id(n->source_handle);

		model_inject(&w->model, id, n, false);
		for (uint32_t i = 0; i < w->stack.n_modules; i++)
			if (w->stack.modules[i].id == id)
				chaos_inject_ended(&w->stack.modules[i].filters[0].f, n);
	}
}

/* What 'n' is called in the history: its frame, or 10000 and its place in the pool. */
static uint32_t number_of(const struct nbl *n)
{
	return n->kind == NBL_KIND_RECEIVE ? (uint32_t)(n - world->nbls) : 10000 + n->pool_slot;
}

static const char *path_name(enum chaos_path path)
{
	static const char *const names[] = { "receive", "return", "send", "complete", "lent" };

	return names[path];
}

static void on_enter(const struct nbl_filter *f, struct nbl *n, enum chaos_path path)
{
	if (world->options.history)
		printf("\t%s\tis handed by %s, %u + %u\t%u\n", f->module->name, path_name(path),
		       n->first_nb->data_offset, n->first_nb->data_length, number_of(n));
	model_enter(&world->model, f->id, n, path);
}

static void on_leave(const struct nbl_filter *f, struct nbl *n, enum chaos_path path)
{
	if (world->options.history)
		printf("\t%s\thands on by %s, %u + %u\t%u\n", f->module->name, path_name(path),
		       n->first_nb->data_offset, n->first_nb->data_length, number_of(n));
	model_leave(&world->model, f->id, n, path);
}

static void on_reference(const struct nbl_filter *f, struct nbl *n)
{
	(void)f;
	model_reference(&world->model, n);
}

static void on_dereference(const struct nbl_filter *f, struct nbl *n)
{
	(void)f;
	model_dereference(&world->model, n);
}

static void on_derive(const struct nbl_filter *f, struct nbl *n, struct nbl *const *parents,
		      uint32_t n_parents)
{
	if (world->options.history)
		printf("\t%s\tgot kind %d, the first part of it is\t%u\tas\t%u\n", f->module->name,
		       n->kind, n_parents ? number_of(parents[0]) : 0, number_of(n));
	model_derive(&world->model, f->id, n, parents, n_parents);
}

static void on_free(const struct nbl_filter *f, struct nbl *n)
{
	model_free(&world->model, f->id, n);
}

static void on_originate(const struct nbl_filter *f, struct nbl *n, bool went)
{
	model_originate(&world->model, f->id, n, went);
}

static void on_act(const struct nbl_filter *f, enum chaos_action action, const struct nbl *n)
{
	world->progress->acts[action]++;
	sim_note(world, f->module->name, chaos_action_name(action), number_of(n));
}

static void on_broken(const struct nbl_filter *f, int invariant, const char *what)
{
	(void)f;
	sim_broke(world, invariant, what);
}

static void on_inject(const struct nbl_filter *f, struct nbl *n, bool is_send)
{
	n->source_handle = NBL_HANDLE_WFP | f->id;
	model_inject(&world->model, f->id, n, true);
	nbl_lane_enter_nbl(&world->lane, is_send ? NBL_ENTRY_SEND : NBL_ENTRY_RECEIVE, n);
}

static struct chaos_watch watch = {
	.enter = on_enter, .leave = on_leave, .reference = on_reference,
	.dereference = on_dereference, .derive = on_derive, .free = on_free,
	.originate = on_originate, .inject = on_inject, .act = on_act, .broke = on_broken,
};

static void on_posted(void *arg, uint32_t frame)
{
	model_posted(arg, frame);
}

static void on_sent(void *arg, uint32_t frame, const uint8_t *bytes, uint32_t length)
{
	model_sent(arg, frame, bytes, length);
}

static void broke(void *arg, int invariant, const char *what)
{
	(void)arg;
	sim_broke(world, invariant, what);
}

static const struct sim_kernel_ops kernel_ops = {
	.posted = on_posted, .sent = on_sent, .broke = broke,
};

void sim_watch_init(struct sim_world *w)
{
	world = w;
	w->kernel.ops = &kernel_ops;
	w->kernel.arg = &w->model;
	w->model.broke = broke;
	chaos_watch = &watch;
}
