/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "filter/stack_module.h"
#include "modules/callouts.h"
#include "modules/modules.h"
#include "port/xsk.h"
#include "worker/views.h"

#define PROGRESS_SIZE	(NBL_MAX_LANES * sizeof(struct nbl_progress))
#define MAX_FDS		(3 + HANDOVER_MAX_KEPT + HANDOVER_MAX_QUEUES)
#define HANDOVER_TIMEOUT_MS 5000
#define HUGE_PAGE	(2u << 20)
/* modules may take so long to pause when nobody asked for it; somebody may ask meanwhile */
#define PAUSE_MS	(HANDOVER_ANSWER_MS / 2)
/* of the time for an answer, what is not for waiting: three times, what is sent drains */
#define WORK_MS		(HANDOVER_ANSWER_MS / 3)
#define MOMENT_MS	2

static_assert(WORK_MS > 3 * NBL_DRAIN_MS && PAUSE_MS + NBL_DRAIN_MS + WORK_MS < HANDOVER_ANSWER_MS,
	      "an answer comes in time whatever modules do");

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- time ---- */

uint32_t worker_time_left(uint64_t until_ms)
{
	uint64_t now = now_ms() + WORK_MS;

	return until_ms > now ? (uint32_t)(until_ms - now) : 0;
}

/* The next pause may take its share of the time left, with those that may follow it. */
static void share_time(struct worker *w, uint32_t n_pauses)
{
	w->stack.pause_timeout_ms = worker_time_left(w->until_ms) / n_pauses;
}

/* ---- taking over ---- */

/*
 * A descriptor for each frame, in huge pages if there are any: one burst touches
 * as many small pages as it has packets.
 */
static struct nbl *alloc_descriptors(uint32_t n_frames)
{
	size_t size = (n_frames * sizeof(struct nbl) + HUGE_PAGE - 1) & ~(size_t)(HUGE_PAGE - 1);
	struct nbl *nbls = aligned_alloc(HUGE_PAGE, size);

	if (!nbls)
		return NULL;
	madvise(nbls, size, MADV_HUGEPAGE);
	memset(nbls, 0, size);
	return nbls;
}

static int map_memory(struct worker *w, int memory_fd, int progress_fd)
{
	void *progress;
	int r = nbl_memory_adopt(memory_fd, &w->memory);

	if (r < 0) {
		close(progress_fd);
		return r;
	}
	progress = mmap(NULL, PROGRESS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, progress_fd, 0);
	r = progress == MAP_FAILED ? -errno : 0;
	close(progress_fd);
	if (r < 0)
		return r;
	w->progress = progress;
	w->nbls = alloc_descriptors(nbl_memory_n_frames(&w->memory.shape));
	return w->nbls ? 0 : -ENOMEM;
}

/* Adopts the sockets of one lane (takes those of its queues) and makes the lane. */
static int make_lane(struct worker *w, const struct handover *h, uint32_t index, int *sockets)
{
	struct nbl_queue queues[HANDOVER_MAX_QUEUES];
	uint32_t n = 0, n_lower = 0;
	int r = 0;

	for (int side = 0; side < NBL_N_SIDES; side++) {
		for (uint32_t i = 0; i < h->n_queues && !r; i++) {
			const struct handover_queue *hq = &h->queues[i];

			if (hq->lane != index || hq->side != side)
				continue;
			queues[n] = (struct nbl_queue){
				.side = hq->side, .index = hq->index, .number = hq->number,
				.max_length = hq->max_length, .most_posted = hq->most_posted,
				.to_host = hq->to_host, .sg = hq->sg,
				.max_segments = hq->max_segments,
			};
			r = nbl_xsk_adopt(sockets[i], &hq->sizes, &queues[n]);
			sockets[i] = -1;
			n += !r;
			n_lower += !r && side == NBL_LOWER;
		}
	}
	if (!r)
		r = nbl_lane_init(&w->lanes[index], index, &w->memory, w->nbls, queues, n, n_lower,
				  &w->progress[index]);
	if (r < 0)
		return r;
	w->n_lanes = index + 1;
	return 0;
}

/* Each queue of the lower port is a port of its own, active as long as the worker runs (PT-04). */
static int make_ports(struct worker *w)
{
	uint32_t n_lower = 0;
	int r;

	for (uint32_t l = 0; l < w->n_lanes; l++)
		n_lower += w->lanes[l].n_lower;
	r = nbl_ports_init(&w->ports, n_lower);
	for (uint32_t i = 0; i < n_lower && r >= 0; i++) {
		r = nbl_ports_alloc(&w->ports);
		if (r >= 0)
			r = nbl_ports_activate(&w->ports, &(const uint32_t){ (uint32_t)r }, 1);
	}
	for (uint32_t l = 0; l < w->n_lanes && r >= 0; l++)
		w->lanes[l].ports = &w->ports;
	return r < 0 ? r : 0;
}

static const struct nbl_module *find_module(const char *name)
{
	const struct nbl_module *m = nbl_module_find(name);

	return m || strcmp(name, nbl_module_filter.name) != 0 ? m : &nbl_module_filter;
}

/* If it cannot restart, it is not left in the stack even if mandatory: who asked for it is told. */
static int insert(struct worker *w, uint16_t id, const struct nbl_module *module,
		  const struct nbl_option *options, uint32_t n_options, uint32_t position,
		  char *why, size_t why_size)
{
	int r = nbl_stack_insert_as(&w->stack, id, module, options, n_options, position, why,
				    why_size);
	int i = r == -ENODEV ? nbl_stack_find(&w->stack, module->name) : -ENOENT;

	if (i >= 0)
		nbl_stack_evict(&w->stack, (uint32_t)i); /* it never ran, so it holds nothing */
	return r;
}

/* 'id': as nbl_stack_insert_as(). */
static int add_module(struct worker *w, uint16_t id, const struct module_conf *conf,
		      uint32_t position, char *why, size_t why_size)
{
	const struct nbl_module *module = find_module(conf->name);
	struct nbl_option options[ADAPTER_MAX_OPTIONS];

	if (!module) {
		snprintf(why, why_size, "no module is named '%s'", conf->name);
		return -ENOENT;
	}
	if (conf->n_options > ADAPTER_MAX_OPTIONS || position > w->stack.n_modules)
		return -EINVAL;
	for (uint32_t i = 0; i < conf->n_options; i++)
		options[i] = (struct nbl_option){ conf->options[i].key, conf->options[i].value };
	filter_set_callout_kinds(callout_kinds);
	filter_set_stack(&w->stack);
	return insert(w, id, module, options, conf->n_options, position, why, why_size);
}

static bool handover_is_sound(const struct handover *h, const struct nbl_memory *m, uint32_t n_fds)
{
	if (h->n_queues != m->shape.n_queues || h->n_queues > HANDOVER_MAX_QUEUES ||
	    h->n_lanes != m->shape.n_lanes || h->n_modules > ADAPTER_MAX_MODULES ||
	    n_fds != 2 + h->n_kept + h->n_queues + h->has_tap || h->has_tap > 1 ||
	    m->shape.lane_block_size != NBL_LANE_BLOCK_SIZE)
		return false;
	for (uint32_t i = 0; i < h->n_queues; i++)
		if (h->queues[i].number != i || h->queues[i].lane >= h->n_lanes)
			return false;
	return true;
}

static int set_up(struct worker *w, const struct handover *h, int *sockets, char *why,
		  size_t why_size)
{
	int r = 0;

	w->lanes = aligned_alloc(NBL_CACHE_LINE, h->n_lanes * sizeof(*w->lanes));
	if (!w->lanes)
		return -ENOMEM;
	memset(w->lanes, 0, h->n_lanes * sizeof(*w->lanes));
	for (uint32_t i = 0; i < h->n_lanes && !r; i++)
		r = make_lane(w, h, i, sockets);
	if (!r)
		r = make_ports(w);
	if (r < 0) {
		snprintf(why, why_size, "%s", r == -ENOTSUP ?
			 "this kernel does not map the rings of a bound socket (before about 6.4)" :
			 strerrorname_np(-r));
		return r;
	}
	r = nbl_lanes_make_pool(w->lanes, w->n_lanes, &w->memory, (enum nbl_takeover)h->takeover,
				&w->pool);
	if (r < 0) {
		snprintf(why, why_size, "no memory for the pool (%s)", strerrorname_np(-r));
		return r;
	}
	nbl_set_default_pools(w->pool, w->pool);
	nbl_stack_init(&w->stack, w->lanes, w->n_lanes);
	w->stack.pause_timeout_ms = PAUSE_MS;
	w->stack.fail_closed = h->fail_closed;
	/* each on top: one below may have dropped out meanwhile */
	for (uint32_t i = 0; i < h->n_modules && !r; i++)
		r = add_module(w, h->module_ids[i], &h->modules[i], w->stack.n_modules, why,
			       why_size);
	if (!r)
		r = nbl_bindings_new(w->lanes, w->n_lanes, &w->bindings);
	if (!r) {
		w->stack.ends.arg = w->bindings;
		w->stack.ends.pause = nbl_bindings_pause;
		w->stack.ends.restart = nbl_bindings_restart;
	}
	if (!r && h->has_tap)
		r = tap_open(w->bindings, w->pool, &h->tap, sockets[h->n_queues], &w->tap);
	for (uint32_t i = 0; i < w->n_lanes && !r; i++)
		nbl_lane_adopt(&w->lanes[i], (enum nbl_takeover)h->takeover);
	return r;
}

int worker_take_over(struct worker *w, int socket, char *why, size_t why_size)
{
	static struct handover h;
	int fds[MAX_FDS];
	uint32_t n_fds;
	int r = handover_receive(socket, &h, sizeof(h), HANDOVER_TIMEOUT_MS, fds, MAX_FDS, &n_fds);

	*w = (struct worker){ .n_kept = 0 };
	if (r < 0)
		return r;
	if (h.version != HANDOVER_VERSION || n_fds < 2 || h.n_kept > HANDOVER_MAX_KEPT) {
		snprintf(why, why_size, "the keeper is of another version");
		return -EPROTO;
	}
	r = map_memory(w, fds[0], fds[1]);
	if (r < 0) {
		snprintf(why, why_size, "packet memory not mapped (%s)", strerrorname_np(-r));
		return r;
	}
	if (!handover_is_sound(&h, &w->memory, n_fds)) {
		snprintf(why, why_size, "the adapter handed over does not fit its memory");
		return -EPROTO;
	}
	w->fail_closed = h.fail_closed;
	w->n_kept = h.n_kept;
	memcpy(w->kept, fds + 2, h.n_kept * sizeof(int));
	return set_up(w, &h, fds + 2 + h.n_kept, why, why_size);
}

/* ---- serving ---- */

static void park_all(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_lanes; i++)
		nbl_lane_park(&w->lanes[i]);
}

static void unpark_all(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_lanes; i++) {
		nbl_lane_publish(&w->lanes[i]);
		nbl_lane_unpark(&w->lanes[i]);
	}
}

int worker_start(struct worker *w)
{
	int r = 0;

	for (uint32_t i = 0; i < w->n_lanes && !r; i++)
		r = nbl_lane_start(&w->lanes[i]);
	if (r < 0)
		return r;
	/* A thread calls the system when it begins; the sandbox must find it past that. */
	park_all(w);
	unpark_all(w);
	w->stack.lanes_run = true;
	return 0;
}

bool worker_tick(struct worker *w)
{
	uint32_t had = w->stack.n_modules;
	bool was_down = w->stack.is_down;

	nbl_stack_tick(&w->stack, (uint32_t)now_ms());
	return w->stack.n_modules != had || w->stack.is_down != was_down;
}

static int remove_module(struct worker *w, const char *name, bool force, char *why, size_t why_size)
{
	int i = nbl_stack_find(&w->stack, name);
	int r;

	if (i < 0) {
		snprintf(why, why_size, "module %s is not in the stack", name);
		return i;
	}
	if (force) {
		nbl_stack_evict(&w->stack, (uint32_t)i);
		return 0;
	}
	r = nbl_stack_remove(&w->stack, (uint32_t)i);
	if (r == -EBUSY)
		snprintf(why, why_size, "%s", w->stack.why);
	return r;
}

static int open_tap(struct worker *w, const struct tap_conf *conf, int fd)
{
	int r;

	if (fd < 0 || w->tap || conf->n_types > NBL_MAX_BINDING_TYPES) {
		close(fd);
		return -EINVAL;
	}
	r = tap_open(w->bindings, w->pool, conf, fd, &w->tap);
	for (uint32_t l = 0; l < w->n_lanes && !r; l++) {
		w->lanes[l].figures.modules[0] = (struct nbl_module_figures){ 0 };
		w->lanes[l].figures.originated.untapped = 0;
	}
	return r;
}

static void wait_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = MOMENT_MS * 1000000 };

	nanosleep(&moment, NULL);
}

/* What it has sent completes only while the lanes run. */
static int close_tap(struct worker *w, char *why, size_t why_size)
{
	int r = tap_close(w->tap);

	while (r == -EBUSY && worker_time_left(w->until_ms)) {
		unpark_all(w);
		wait_a_moment();
		park_all(w);
		r = tap_close(w->tap);
	}
	if (r < 0)
		snprintf(why, why_size, "module tap still has packets on their way (EBUSY)");
	else
		w->tap = NULL;
	return r;
}

/*
 * Below the one that was 'above' it (NULL: none), or where it was
 * as nearly as can be: others may have gone.
 */
static uint32_t place_of(const struct nbl_stack *s, const struct nbl_module *above, uint32_t was)
{
	int i = above ? nbl_stack_find(s, above->name) : -ENOENT;

	if (i >= 0)
		return (uint32_t)i;
	return above && was < s->n_modules ? was : s->n_modules;
}

/* Takes a module out and puts it in again with other options: if that fails, as it was. */
static int set_module(struct worker *w, const struct worker_request *request, char *why,
		      size_t why_size)
{
	const struct nbl_stack *s = &w->stack;
	int i = nbl_stack_find(s, request->module.name);
	const struct nbl_module *above = i >= 0 && (uint32_t)i + 1 < s->n_modules ?
					 s->modules[i + 1].module : NULL;
	char again[128] = "";
	int r;

	if (i < 0) {
		snprintf(why, why_size, "module %s is not in the stack", request->module.name);
		return i;
	}
	share_time(w, 3);
	r = nbl_stack_remove_at_rest(&w->stack, (uint32_t)i);
	if (r < 0) {
		snprintf(why, why_size, "%s", s->why);
		return r;
	}
	share_time(w, 2);
	r = add_module(w, 0, &request->module, place_of(s, above, (uint32_t)i), why, why_size);
	if (!r)
		return 0;
	share_time(w, 1);
	if (add_module(w, 0, &request->was, place_of(s, above, (uint32_t)i), again,
		       sizeof(again)) < 0)
		snprintf(why, why_size, "module %s is gone, as neither its new options nor its old "
			 "ones were taken: %s", request->was.name, again);
	return r;
}

static int audit(struct worker *w, struct nbl_audit *ret)
{
	int r = 0;

	for (uint32_t i = 0; i < w->n_lanes && !r; i++)
		r = nbl_lane_audit(&w->lanes[i], ret);
	nbl_pool_memory_audit(&w->lanes[0], ret);
	ret->violations += nbl_violations();
	return r;
}

void worker_name_modules(const struct worker *w, struct worker_reply *ret)
{
	ret->n_modules = w->stack.n_modules;
	ret->is_down = w->stack.is_down;
	for (uint32_t i = 0; i < w->stack.n_modules; i++) {
		ret->module_ids[i] = w->stack.modules[i].id;
		snprintf(ret->module_names[i], sizeof(ret->module_names[i]), "%s",
			 w->stack.modules[i].module->name);
	}
}

void worker_serve(struct worker *w, const struct worker_request *request, int fd,
		  struct worker_reply *ret)
{
	struct worker_reply reply = { .result = -EINVAL };

	w->until_ms = request->until_ms;
	share_time(w, 1);
	switch (request->op) {
	case WORKER_MODULE_ADD:
		reply.result = add_module(w, 0, &request->module, request->position, reply.text,
					  sizeof(reply.text));
		break;
	case WORKER_MODULE_REMOVE:
		reply.result = remove_module(w, request->module.name, request->force,
					     reply.text, sizeof(reply.text));
		break;
	case WORKER_MODULE_SET:
		reply.result = set_module(w, request, reply.text, sizeof(reply.text));
		break;
	case WORKER_AUDIT:
		park_all(w);
		reply.result = audit(w, &reply.audit);
		unpark_all(w);
		break;
	case WORKER_TAP_OPEN:
		park_all(w);
		reply.result = open_tap(w, &request->tap, fd);
		unpark_all(w);
		break;
	case WORKER_TAP_CLOSE:
		park_all(w);
		reply.result = close_tap(w, reply.text, sizeof(reply.text));
		unpark_all(w);
		break;
	default:
		park_all(w);
		reply.result = worker_view(w, request, &reply);
		unpark_all(w);
	}
	w->stack.pause_timeout_ms = PAUSE_MS;
	worker_name_modules(w, &reply);
	*ret = reply;
}

/* ---- ending ---- */

static bool is_drained(const struct worker *w)
{
	for (uint32_t l = 0; l < w->n_lanes; l++) {
		const struct nbl_lane *lane = &w->lanes[l];

		if (nbl_figures_in_flight(&lane->figures) || nbl_lane_n_originated(lane) ||
		    atomic_load(&lane->n_entered))
			return false;
		for (uint32_t i = 0; i < lane->n_queues; i++)
			if (nbl_ring_used(&lane->queues[i].q.rx.ring))
				return false;
	}
	return true;
}

void worker_finish(struct worker *w, uint32_t timeout_ms)
{
	uint64_t until = now_ms() + timeout_ms;
	bool drained;

	do {
		park_all(w);
		nbl_stack_flush(&w->stack);
		drained = is_drained(w);
		unpark_all(w);
		if (!drained)
			wait_a_moment();
	} while (!drained && now_ms() < until);
	for (uint32_t i = 0; i < w->n_lanes; i++)
		nbl_lane_stop(&w->lanes[i]);
}

void worker_let_go(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_kept; i++)
		close(w->kept[i]);
	w->n_kept = 0;
}
