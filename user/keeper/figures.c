/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * figures.c - an adapter's figures of one moment.
 *
 * Each lane's figures balance by themselves (stack/figures.h), so their sum does.
 * What the kernel dropped at our sockets was received too, by us on the outside:
 * it is added to both sides. Frames of the pool belong to no lane: the ledger counts them.
 */
#include "keeper/adapter_internal.h"

#include <string.h>

static void add_originated(struct nbl_originated_figures *sum,
			   const struct nbl_originated_figures *lane)
{
	sum->entered += lane->entered;
	sum->in_flight += lane->in_flight;
	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		sum->outcomes[i] += lane->outcomes[i];
	sum->sent += lane->sent;
	sum->failed += lane->failed;
	sum->packets += lane->packets;
	sum->bytes += lane->bytes;
	sum->copied += lane->copied;
	sum->borrowed += lane->borrowed;
	sum->looped += lane->looped;
	sum->unwanted += lane->unwanted;
}

static void add_lane(struct nbl_lane_figures *sum, const struct nbl_lane_figures *lane)
{
	add_originated(&sum->originated, &lane->originated);
	sum->received += lane->received;
	sum->violations += lane->violations;
	sum->originated.untapped += lane->originated.untapped;
	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		sum->outcomes[i] += lane->outcomes[i];
	for (int i = 0; i < NBL_N_FRAME_STATES; i++)
		sum->frames[i] += lane->frames[i];
	for (int place = 0; place < NBL_N_PLACES; place++)
		for (int i = 0; i < NBL_N_OUTCOMES; i++)
			sum->drops[place][i] += lane->drops[place][i];
	for (int id = 0; id <= NBL_MAX_MODULES; id++) {
		sum->modules[id].packets += lane->modules[id].packets;
		sum->modules[id].held += lane->modules[id].held;
		sum->modules[id].faults += lane->modules[id].faults;
	}
}

/* Queue figures stand per lane in the order of its queues: the lower ones first, each by number. */
static void add_queues(const struct adapter *a, uint32_t lane, const struct nbl_lane_figures *f,
		       struct adapter_snapshot *ret)
{
	uint32_t n = 0;

	for (int side = 0; side < NBL_N_SIDES; side++) {
		struct port_snapshot *p = &ret->ports[side];

		for (uint32_t i = lane; i < a->ports[side].n_queues; i += a->n_lanes, n++) {
			p->rx_packets += f->queues[n].rx_packets;
			p->rx_bytes += f->queues[n].rx_bytes;
			p->tx_packets += f->queues[n].tx_packets;
			p->tx_bytes += f->queues[n].tx_bytes;
			p->overloads += f->queues[n].overloads;
		}
	}
}

static void read_lanes(const struct adapter *a, struct nbl_lane_figures *sum,
		       struct adapter_snapshot *ret)
{
	static struct nbl_lane_figures lane;

	memset(sum, 0, sizeof(*sum));
	for (uint32_t i = 0; i < a->n_lanes; i++) {
		nbl_figures_read(nbl_memory_lane_block(&a->memory, i), &lane);
		add_lane(sum, &lane);
		add_queues(a, i, &lane, ret);
	}
}

static void fill_port(const struct adapter *a, const struct port *p, struct port_snapshot *ret)
{
	struct nbl_path path = { 0 };

	memcpy(ret->ifname, p->dev.name, sizeof(ret->ifname));
	ret->ifindex = p->dev.ifindex;
	ret->is_leg = p->is_leg;
	ret->n_queues = p->n_queues;
	ret->native = p->native;
	ret->zerocopy = p->n_queues && p->xsk[0] && nbl_xsk_is_zerocopy(p->xsk[0]);
	ret->up = p->up;
	port_read_kernel_drops(p, ret);
	if (!programs_read_path(a->programs, p->side, &path)) {
		ret->bypassed = path.bypassed;
		ret->hung = path.hung;
	}
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

/* Adds the pool's frames to 'states'. */
static void add_pool(const struct adapter *a, uint64_t states[NBL_N_FRAME_STATES],
		     struct adapter_snapshot *ret)
{
	const struct nbl_memory_shape *s = &a->memory.shape;
	uint32_t counts[NBL_N_FRAME_STATES];

	nbl_ledger_count(&a->memory.ledger, s->n_queues * s->frames_per_queue, s->n_pool_frames,
			 counts);
	for (int i = 0; i < NBL_N_FRAME_STATES; i++)
		states[i] += counts[i];
	ret->pool.frames = s->n_pool_frames;
	ret->pool.free = counts[NBL_FRAME_FREE];
	ret->pool.held = counts[NBL_FRAME_HAND] + counts[NBL_FRAME_HELD];
	ret->pool.tx = counts[NBL_FRAME_TX];
}

/*
 * Splits FILL and TX frames by the ring they are in; the rings move on while we
 * look, so what they do not show of a state is in the kernel's hands.
 */
static void split_frames(const struct adapter *a, struct nbl_lane_figures *sum,
			 struct adapter_snapshot *ret)
{
	struct nbl_ring_sizes in = { 0 };
	uint64_t fill, tx, counted = 0;

	add_pool(a, sum->frames, ret);
	fill = sum->frames[NBL_FRAME_FILL];
	tx = sum->frames[NBL_FRAME_TX];
	for (int side = 0; side < NBL_N_SIDES; side++)
		for (uint32_t i = 0; i < a->ports[side].n_queues; i++) {
			struct nbl_ring_sizes now = nbl_xsk_ring_fill(a->ports[side].xsk[i]);

			in.rx += now.rx;
			in.tx += now.tx;
			in.fill += now.fill;
			in.completion += now.completion;
		}
	ret->frames.rx = at_most(in.rx, fill);
	ret->frames.fill = at_most(in.fill, fill - ret->frames.rx);
	ret->frames.completion = at_most(in.completion, tx);
	ret->frames.tx = at_most(in.tx, tx - ret->frames.completion);
	ret->frames.kernel = fill - ret->frames.rx - ret->frames.fill +
			     tx - ret->frames.completion - ret->frames.tx;
	ret->frames.free = sum->frames[NBL_FRAME_FREE];
	ret->frames.held = sum->frames[NBL_FRAME_HAND] + sum->frames[NBL_FRAME_HELD];
	ret->frames.quarantine = sum->frames[NBL_FRAME_QUARANTINE];
	ret->frames.total = a->memory.ledger.n_frames;
	for (int s = 0; s < NBL_N_FRAME_STATES; s++)
		counted += sum->frames[s];
	ret->frames.imbalance = (int64_t)(ret->frames.total - counted);
}

/* ---- drops ---- */

static void add_drop(struct adapter_snapshot *ret, const char *place, const char *reason,
		     uint64_t packets)
{
	struct drop_snapshot *d;

	if (!packets || ret->n_drops == ADAPTER_MAX_DROPS)
		return;
	d = &ret->drops[ret->n_drops++];
	strncpy(d->place, place, sizeof(d->place) - 1);
	d->reason = reason;
	d->packets = packets;
}

const char *adapter_place_name(const struct adapter *a, int place)
{
	if (place == NBL_PLACE_LOWER || place == NBL_PLACE_UPPER)
		return a->ports[place - NBL_PLACE_LOWER].dev.name;
	for (uint32_t i = 0; place && i < a->conf.n_modules; i++)
		if (a->module_ids[i] == place)
			return a->conf.modules[i].name;
	return place ? "removed module" : "worker";
}

static void fill_drops(const struct adapter *a, const struct nbl_lane_figures *sum,
		       struct adapter_snapshot *ret)
{
	for (int place = 0; place < NBL_N_PLACES; place++)
		for (int i = 0; i < NBL_N_OUTCOMES; i++)
			if (nbl_outcome_is_drop((enum nbl_outcome)i))
				add_drop(ret, adapter_place_name(a, place),
					 nbl_outcome_name((enum nbl_outcome)i),
					 sum->drops[place][i]);
	for (int side = 0; side < NBL_N_SIDES; side++) {
		const struct port_snapshot *p = &ret->ports[side];

		add_drop(ret, p->ifname, "rx-ring-full", p->kernel_rx_ring_full);
		add_drop(ret, p->ifname, "fill-empty", p->kernel_fill_empty);
		add_drop(ret, p->ifname, "too-long", p->kernel_rx_dropped);
	}
}

static void fill_outcomes(const struct nbl_lane_figures *sum, struct adapter_snapshot *ret)
{
	ret->originated = sum->originated;
	ret->received = sum->received;
	ret->in_flight = nbl_figures_in_flight(sum);
	ret->to_wire = sum->outcomes[NBL_OUTCOME_TO_WIRE];
	ret->to_host = sum->outcomes[NBL_OUTCOME_TO_HOST];
	ret->consumed = sum->outcomes[NBL_OUTCOME_CONSUMED];
	for (int i = 0; i < NBL_N_OUTCOMES; i++)
		if (nbl_outcome_is_drop((enum nbl_outcome)i))
			ret->dropped += sum->outcomes[i];
	for (int side = 0; side < NBL_N_SIDES; side++) {
		const struct port_snapshot *p = &ret->ports[side];
		uint64_t kernel = p->kernel_rx_ring_full + p->kernel_fill_empty +
				  p->kernel_rx_dropped;

		ret->received += kernel;
		ret->dropped += kernel;
	}
}

/* ---- modules ---- */

static struct module_snapshot *module_by_id(struct adapter_snapshot *ret, uint16_t id)
{
	for (uint32_t i = 0; i < ret->n_modules; i++)
		if (ret->modules[i].id == id)
			return &ret->modules[i];
	return NULL;
}

/* Who holds what and since when, from the ledger: true of a hung worker too. */
static void fill_holds(const struct adapter *a, struct adapter_snapshot *ret)
{
	uint32_t now = (uint32_t)(monotonic_us() / 1000);

	for (uint32_t frame = 0; frame < a->memory.ledger.n_frames; frame++) {
		struct nbl_ledger_entry e = nbl_ledger_get(&a->memory.ledger, frame);
		struct module_snapshot *m = e.state == NBL_FRAME_HELD ? module_by_id(ret, e.holder)
								      : NULL;
		int32_t age = (int32_t)(now - e.slot);

		if (!m)
			continue;
		m->held_reference += e.reason == NBL_HOLD_REFERENCE;
		m->held_clone += e.reason == NBL_HOLD_CLONE;
		m->held_pending += e.reason == NBL_HOLD_PENDING;
		m->held_pool += e.reason == NBL_HOLD_POOL;
		m->held += e.reason != NBL_HOLD_POOL;
		if (age > 0 && (uint32_t)age > m->oldest_ms)
			m->oldest_ms = (uint32_t)age;
	}
}

static void fill_modules(const struct adapter *a, const struct nbl_lane_figures *sum,
			 struct adapter_snapshot *ret)
{
	ret->n_modules = a->conf.n_modules;
	for (uint32_t i = 0; i < a->conf.n_modules; i++) {
		struct module_snapshot *m = &ret->modules[i];

		memcpy(m->name, a->conf.modules[i].name, sizeof(m->name));
		m->id = a->module_ids[i];
		m->state = a->worker.pid && !a->stack_is_down ? "running" : "paused";
		if (m->id <= NBL_MAX_MODULES) {
			m->packets = sum->modules[m->id].packets;
			m->faults = sum->modules[m->id].faults;
		}
		m->is_tap = tap_conf_is_tap(&a->conf.modules[i]);
		if (m->is_tap)
			m->missed = sum->originated.untapped;
	}
	fill_holds(a, ret);
}

static enum adapter_state state_of(const struct adapter *a)
{
	if (!a->ports[NBL_LOWER].up || !a->ports[NBL_UPPER].up || a->stack_is_down)
		return ADAPTER_DOWN;
	return a->bypass ? ADAPTER_BYPASS : ADAPTER_RUNNING;
}

void adapter_snapshot(struct adapter *a, struct adapter_snapshot *ret)
{
	static struct nbl_lane_figures sum;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, a->conf.name, sizeof(ret->name));
	ret->layout = a->conf.layout;
	ret->state = state_of(a);
	ret->bypass = a->bypass;
	ret->fail_closed = a->conf.fail_closed;
	ret->worker_pid = a->worker.pid;
	ret->generation = a->generation;
	ret->restarts = a->n_deaths;
	for (int side = 0; side < NBL_N_SIDES; side++)
		fill_port(a, &a->ports[side], &ret->ports[side]);
	read_lanes(a, &sum, ret);
	fill_outcomes(&sum, ret);
	split_frames(a, &sum, ret);
	fill_modules(a, &sum, ret);
	fill_drops(a, &sum, ret);
}
