/* SPDX-License-Identifier: BSD-2-Clause */
/* lane.c - the life of a lane: its turn, its sleep, its rest. */
#include "stack/lane.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <nbl/holding.h>

#include "core/nbl_internal.h"

#define SPIN_NS		50000ull	/* awake after work: sleeping would cost more */
#define SENDING_WAIT_NS	1000000ull	/* for completions, which wake nobody; doubled */
#define MOST_DOUBLINGS	7
#define LONGEST_WAIT_NS	1000000000ull
#define CONTEXT_SIZE	256	/* bytes for modules' contexts on a received NBL (DM-13) */

static _Thread_local struct nbl_lane *current;

struct nbl_lane *nbl_lane_enter(struct nbl_lane *lane)
{
	struct nbl_lane *before = current;

	current = lane;
	return before;
}

bool nbl_lane_is_current(const struct nbl_lane *lane)
{
	return current == lane;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* ---- making ---- */

/* Somebody is being shown its bytes. Rule: RF-06. */
static bool is_queued(const struct nbl_home *home, const struct nbl *n)
{
	(void)home;
	return nbl_ledger_get(&nbl_lane_home_queue(n)->lane->memory->ledger, n->segment.frame).state ==
	       NBL_FRAME_TX;
}

static int init_queue(struct nbl_lane *lane, uint32_t i)
{
	struct nbl_lane_queue *lq = &lane->queues[i];
	const struct nbl_queue *q = &lq->q;
	const struct nbl_memory *m = lane->memory;

	lq->lane = lane;
	/*
	 * No release_frame(): a ring entry names a frame, and that its descriptor (RX-16). Another
	 * for a frame whose own is pinned would be a look-up per packet, so a deep clone keeps
	 * the frame, too (AMB-01 by the letter).
	 */
	lq->home.release = nbl_lane_release_home;
	lq->home.is_queued = is_queued;
	lq->figures = &lane->figures.queues[i];
	lq->n_frames = m->shape.frames_per_queue;
	lq->first_frame = q->number * lq->n_frames;
	lq->handle = nbl_handle_of_queue(q->number);
	lq->free = calloc(lq->n_frames, sizeof(*lq->free));
	lq->contexts = calloc(lq->n_frames, CONTEXT_SIZE);
	if (!lq->free || !lq->contexts)
		return -ENOMEM;
	for (uint32_t f = lq->first_frame; f < lq->first_frame + lq->n_frames; f++) {
		struct nbl *n = &lane->nbls[f];

		nbl_init_receive(n, &lq->home, m->frames + ((size_t)f << lane->frame_shift),
				 m->shape.frame_size, f);
		n->source_handle = lq->handle;
		nbl_bind_context(n, lq->contexts + (size_t)(f - lq->first_frame) * CONTEXT_SIZE,
				 CONTEXT_SIZE);
	}
	return 0;
}

/* Queue i of one side sends what queue i of the other received, modulo their number. */
static void join_sides(struct nbl_lane *lane)
{
	uint32_t n_upper = lane->n_queues - lane->n_lower;

	for (uint32_t i = 0; i < lane->n_queues; i++) {
		bool is_lower = i < lane->n_lower;

		lane->queues[i].across = is_lower ? &lane->queues[lane->n_lower + i % n_upper]
						  : &lane->queues[(i - lane->n_lower) % lane->n_lower];
	}
}

static void close_queues(const struct nbl_queue *queues, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct nbl_queue q = queues[i];

		q.ops->close(&q);
	}
}

int nbl_lane_init(struct nbl_lane *lane, uint32_t index, struct nbl_memory *memory,
		  struct nbl *nbls, const struct nbl_queue *queues, uint32_t n_queues,
		  uint32_t n_lower, struct nbl_progress *progress)
{
	int r = 0;

	*lane = (struct nbl_lane){
		.index = index, .memory = memory, .nbls = nbls, .n_queues = n_queues,
		.n_lower = n_lower, .progress = progress,
		.frame_shift = (uint32_t)__builtin_ctz(memory->shape.frame_size),
		.block = nbl_memory_lane_block(memory, index),
		.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER,
	};
	lane->edge.lane = lane;
	lane->wake_fd = -1;
	lane->queues = calloc(n_queues, sizeof(*lane->queues));
	if (!lane->queues) {
		close_queues(queues, n_queues);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n_queues; i++)
		lane->queues[i].q = queues[i];
	if (!n_lower || n_lower >= n_queues)
		r = -EINVAL;
	for (uint32_t i = 0; !r && i < n_queues; i++)
		r = init_queue(lane, i);
	if (!r)
		r = nbl_lane_sends_new(lane);
	if (!r)
		lane->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!r && lane->wake_fd < 0)
		r = -errno;
	if (r < 0) {
		nbl_lane_done(lane);
		return r;
	}
	join_sides(lane);
	return 0;
}

void nbl_lane_done(struct nbl_lane *lane)
{
	for (uint32_t i = 0; lane->queues && i < lane->n_queues; i++) {
		lane->queues[i].q.ops->close(&lane->queues[i].q);
		free(lane->queues[i].free);
		free(lane->queues[i].contexts);
	}
	free(lane->queues);
	lane->queues = NULL;
	nbl_lane_sends_free(lane->sends);
	lane->sends = NULL;
	if (lane->wake_fd >= 0)
		close(lane->wake_fd);
	lane->wake_fd = -1;
}

/* ---- the turn ---- */

void nbl_lane_set_time(struct nbl_lane *lane)
{
	lane->now_ns = lane->clock_ns ? lane->clock_ns() : monotonic_ns();
	nbl_set_time_ms((uint32_t)(lane->now_ns / 1000000));
	for (uint32_t i = 0; i < lane->n_filters; i++)
		lane->filters[i]->f.now_ns = lane->now_ns;
}

static bool is_due(const struct nbl_lane *lane, const struct nbl_lane_filter *lf)
{
	return (lf->f.wake_ns && lf->f.wake_ns <= lane->now_ns) ||
	       NBL_UNLIKELY(atomic_load_explicit(&lf->wake_wanted, memory_order_relaxed));
}

/* Returns how many ran. */
static uint32_t run_timers(struct nbl_lane *lane)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < lane->n_filters; i++) {
		struct nbl_lane_filter *lf = lane->filters[i];
		struct nbl_filter *f = &lf->f;
		uint16_t before;

		if (!is_due(lane, lf) || !f->module->timer)
			continue;
		/* first, so that a wake that comes from now on counts again */
		atomic_store(&lf->wake_wanted, false);
		lane->n_burst = 0;
		before = nbl_holder_enter(f->id);
		f->wake_ns = f->module->timer(f, lane->now_ns);
		nbl_holder_enter(before);
		nbl_lane_publish_tx(lane);
		n++;
	}
	return n;
}

void nbl_lane_publish(struct nbl_lane *lane)
{
	for (uint32_t i = 0; i < lane->n_queues; i++) {
		const struct nbl_lane_queue *lq = &lane->queues[i];

		lq->figures->rx_consumer = lq->q.rx.next;
		lq->figures->completion_consumer = lq->q.completion.next;
	}
	for (uint32_t i = 0; i < lane->n_filters; i++) {
		const struct nbl_filter *f = &lane->filters[i]->f;

		lane->figures.modules[f->id].packets = f->packets;
		lane->figures.modules[f->id].held = f->held;
	}
	nbl_figures_publish(lane->block, &lane->figures, lane->n_queues, lane->drops_changed);
	if (lane->drops_changed)
		lane->drops_changed--;
}

/* Under load several bursts share a call to the kernel, a look at the clock, a publication. */
static uint32_t receive_bursts(struct nbl_lane *lane, struct nbl_lane_queue *lq)
{
	uint32_t moved = 0, n = NBL_BURST;

	for (int i = 0; i < NBL_TURN_BURSTS && n == NBL_BURST; i++) {
		n = nbl_lane_receive(lane, lq);
		moved += n;
	}
	nbl_lane_note_backlog(lane, lq, n == NBL_BURST);
	return moved;
}

uint32_t nbl_lane_turn(struct nbl_lane *lane)
{
	uint32_t moved;

	nbl_lane_set_time(lane);
	__atomic_store_n(&lane->progress->turns, lane->progress->turns + 1, __ATOMIC_RELAXED);
	moved = run_timers(lane);
	if (NBL_UNLIKELY(nbl_lane_n_originated(lane))) {
		moved += nbl_lane_send_waiting(lane);
		nbl_lane_publish_tx(lane);
	}
	moved += nbl_lane_run_entered(lane);
	for (uint32_t i = 0; i < lane->n_queues; i++)
		moved += receive_bursts(lane, &lane->queues[i]);
	for (uint32_t i = 0; i < lane->n_queues; i++) {
		moved += nbl_lane_kick(lane, &lane->queues[i]);
		moved += nbl_lane_reap(lane, &lane->queues[i]);
	}
	lane->n_burst = 0;
	nbl_lane_hand_back(lane);
	moved += nbl_lane_take_returns(lane);
	for (uint32_t i = 0; i < lane->n_queues; i++)
		moved += nbl_lane_fill(lane, &lane->queues[i]);
	if (moved || lane->drops_changed)
		nbl_lane_publish(lane);
	return moved;
}

/* ---- sleep ---- */

void nbl_lane_wake(struct nbl_lane *lane)
{
	uint64_t one = 1;

	if (atomic_load(&lane->asleep) && write(lane->wake_fd, &one, sizeof(one)) < 0)
		return;		/* EAGAIN: it is being woken already */
}

static uint64_t time_to_sleep(const struct nbl_lane *lane)
{
	uint64_t longest = lane->figures.frames[NBL_FRAME_TX] || nbl_lane_n_originated(lane) ?
			   SENDING_WAIT_NS << lane->idle_sleeps : LONGEST_WAIT_NS;

	for (uint32_t i = 0; i < lane->n_filters; i++) {
		uint64_t wake_ns = lane->filters[i]->f.wake_ns;

		if (is_due(lane, lane->filters[i]))
			return 0;
		if (wake_ns && wake_ns - lane->now_ns < longest)
			longest = wake_ns - lane->now_ns;
	}
	return longest;
}

static bool is_wanted(struct nbl_lane *lane)
{
	return atomic_load(&lane->park_wanted) || atomic_load(&lane->stop_wanted) ||
	       atomic_load(&lane->returns.head) || atomic_load(&lane->n_entered);
}

static void sleep_until_needed(struct nbl_lane *lane)
{
	struct pollfd fds[1 + NBL_N_SIDES * NBL_MAX_QUEUES];
	uint64_t ns = time_to_sleep(lane), count;
	struct timespec timeout = { .tv_sec = (time_t)(ns / 1000000000),
				    .tv_nsec = (long)(ns % 1000000000) };
	nfds_t n = 0;

	fds[n++] = (struct pollfd){ .fd = lane->wake_fd, .events = POLLIN };
	for (uint32_t i = 0; i < lane->n_queues; i++)
		fds[n++] = (struct pollfd){ .fd = lane->closed ? -1 : lane->queues[i].q.fd,
					    .events = POLLIN };
	atomic_store(&lane->asleep, true);
	/* Whoever wants us either sees 'asleep' and writes, or was seen here. */
	if (!is_wanted(lane)) {
		lane->figures.sleeps++;
		if (lane->idle_sleeps < MOST_DOUBLINGS)
			lane->idle_sleeps++;
		ppoll(fds, n, &timeout, NULL);
	}
	atomic_store(&lane->asleep, false);
	if (fds[0].revents && read(lane->wake_fd, &count, sizeof(count)) < 0)
		return;
}

/* ---- the thread, and its rest ---- */

static void rest(struct nbl_lane *lane)
{
	pthread_mutex_lock(&lane->mutex);
	lane->parked = true;
	pthread_cond_broadcast(&lane->cond);
	while (atomic_load(&lane->park_wanted))
		pthread_cond_wait(&lane->cond, &lane->mutex);
	lane->parked = false;
	pthread_cond_broadcast(&lane->cond);
	pthread_mutex_unlock(&lane->mutex);
}

static void *run(void *arg)
{
	struct nbl_lane *lane = arg;

	nbl_lane_enter(lane);
	while (!atomic_load(&lane->stop_wanted)) {
		if (atomic_load(&lane->park_wanted))
			rest(lane);
		if (nbl_lane_turn(lane)) {
			lane->busy_until_ns = lane->now_ns + SPIN_NS;
			lane->idle_sleeps = 0;
		} else if (lane->now_ns >= lane->busy_until_ns) {
			sleep_until_needed(lane);
		}
	}
	nbl_lane_publish(lane);
	return NULL;
}

int nbl_lane_start(struct nbl_lane *lane)
{
	return -pthread_create(&lane->thread, NULL, run, lane);
}

void nbl_lane_stop(struct nbl_lane *lane)
{
	atomic_store(&lane->stop_wanted, true);
	nbl_lane_wake(lane);
	pthread_join(lane->thread, NULL);
}

void nbl_lane_park(struct nbl_lane *lane)
{
	atomic_store(&lane->park_wanted, true);
	nbl_lane_wake(lane);
	pthread_mutex_lock(&lane->mutex);
	while (!lane->parked)
		pthread_cond_wait(&lane->cond, &lane->mutex);
	pthread_mutex_unlock(&lane->mutex);
}

void nbl_lane_unpark(struct nbl_lane *lane)
{
	pthread_mutex_lock(&lane->mutex);
	atomic_store(&lane->park_wanted, false);
	pthread_cond_broadcast(&lane->cond);
	while (lane->parked)
		pthread_cond_wait(&lane->cond, &lane->mutex);
	pthread_mutex_unlock(&lane->mutex);
}
