/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/report.h"

#include "edge/control.h"

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* As json_pack() takes NULL with "o?". */
static json_t *text_or_null(const char *s)
{
	return s ? control_text(s) : NULL;
}

const char *report_state_name(enum adapter_state state)
{
	static const char *const names[] = {
		[ADAPTER_RUNNING] = "running", [ADAPTER_PAUSED] = "paused",
		[ADAPTER_BYPASS] = "bypass", [ADAPTER_DOWN] = "down",
		[ADAPTER_DETACHED] = "detached",
	};

	return names[state];
}

json_t *report_new(void)
{
	return json_pack("{s:i, s:s}", "schema", CONTROL_SCHEMA, "version", NBL_VERSION);
}

static json_t *report_port(const struct port_snapshot *p)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:b,"
			 " s:o, s:o, s:o, s:o, s:o, s:o}",
			 "ifname", control_text(p->ifname),
			 "ifindex", number(p->ifindex),
			 "role", p->is_leg ? "leg" : "nic",
			 "queues", number(p->n_queues),
			 "xdp", p->native ? "native" : "generic",
			 "copy", p->zerocopy ? "zerocopy" : "copy",
			 "rx_packets", number(p->rx_packets),
			 "rx_bytes", number(p->rx_bytes),
			 "tx_packets", number(p->tx_packets),
			 "tx_bytes", number(p->tx_bytes),
			 "up", p->up,
			 "overloads", number(p->overloads),
			 "bypassed", number(p->bypassed),
			 "hung", number(p->hung),
			 "kernel_rx_ring_full", number(p->kernel_rx_ring_full),
			 "kernel_fill_empty", number(p->kernel_fill_empty),
			 "kernel_rx_dropped", number(p->kernel_rx_dropped));
}

static json_t *report_outcomes(const struct adapter_snapshot *s)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}",
			 "to_wire", number(s->to_wire),
			 "to_host", number(s->to_host),
			 "consumed", number(s->consumed),
			 "dropped", number(s->dropped),
			 "offloaded", number(s->offloaded));
}

static json_t *report_frames(const struct adapter_snapshot *s)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "total", number(s->frames.total),
			 "free", number(s->frames.free),
			 "fill", number(s->frames.fill),
			 "rx", number(s->frames.rx),
			 "held", number(s->frames.held),
			 "tx", number(s->frames.tx),
			 "completion", number(s->frames.completion),
			 "kernel", number(s->frames.kernel),
			 "quarantine", number(s->frames.quarantine),
			 "imbalance", json_integer(s->frames.imbalance));
}

static json_t *report_pool(const struct adapter_snapshot *s)
{
	return json_pack("{s:o, s:o, s:o, s:o}",
			 "frames", number(s->pool.frames),
			 "free", number(s->pool.free),
			 "held", number(s->pool.held),
			 "tx", number(s->pool.tx));
}

/* One row for each reason that there was. */
static json_t *report_originated_drops(const uint64_t *outcomes, uint64_t *ret_dropped)
{
	json_t *drops = json_array();

	*ret_dropped = 0;
	for (int i = 0; i < NBL_N_OUTCOMES; i++) {
		const char *reason = nbl_outcome_name((enum nbl_outcome)i);

		if (!outcomes[i] || !nbl_outcome_is_drop((enum nbl_outcome)i))
			continue;
		*ret_dropped += outcomes[i];
		json_array_append_new(drops, json_pack("{s:s, s:o}", "reason", reason,
						       "nbls", number(outcomes[i])));
	}
	return drops;
}

static json_t *report_originated(const struct nbl_originated_figures *f)
{
	uint64_t dropped;
	json_t *drops = report_originated_drops(f->outcomes, &dropped);

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "entered", number(f->entered),
			 "to_wire", number(f->outcomes[NBL_OUTCOME_TO_WIRE]),
			 "to_host", number(f->outcomes[NBL_OUTCOME_TO_HOST]),
			 "consumed", number(f->outcomes[NBL_OUTCOME_CONSUMED]),
			 "dropped", number(dropped),
			 "drops", drops,
			 "in_flight", json_integer(f->in_flight),
			 "sent", number(f->sent),
			 "failed", number(f->failed),
			 "packets", number(f->packets),
			 "bytes", number(f->bytes),
			 "borrowed", number(f->borrowed),
			 "looped", number(f->looped),
			 "unwanted", number(f->unwanted));
}

static json_t *report_module(const struct module_snapshot *m)
{
	json_t *o = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}",
			      "name", control_text(m->name),
			      "state", m->state,
			      "packets", number(m->packets),
			      "held", number(m->held),
			      "oldest_ms", number(m->oldest_ms),
			      "faults", number(m->faults));

	if (m->is_tap)
		json_object_set_new(o, "missed", number(m->missed));
	return o;
}

json_t *report_modules(const struct adapter_snapshot *s)
{
	json_t *modules = json_array();

	for (uint32_t i = 0; i < s->n_modules; i++)
		json_array_append_new(modules, report_module(&s->modules[i]));
	return modules;
}

static json_t *report_worker(const struct adapter_snapshot *s)
{
	return json_pack("{s:o, s:o, s:o}",
			 "pid", number((uint64_t)s->worker_pid),
			 "generation", number(s->generation),
			 "restarts", number(s->restarts));
}

json_t *report_show(const struct adapter_snapshot *s)
{
	return json_pack("{s:o, s:s, s:s, s:o?, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
			 " s:o, s:o}",
			 "name", control_text(s->name),
			 "layout", s->layout == LAYOUT_PAIR ? "pair" : "host",
			 "state", report_state_name(s->state),
			 "bypass", text_or_null(s->bypass),
			 "fail", s->fail_closed ? "closed" : "open",
			 "worker", report_worker(s),
			 "lower", report_port(&s->ports[NBL_LOWER]),
			 "upper", report_port(&s->ports[NBL_UPPER]),
			 "received", number(s->received),
			 "in_flight", number(s->in_flight),
			 "outcomes", report_outcomes(s),
			 "frames", report_frames(s),
			 "pool", report_pool(s),
			 "originated", report_originated(&s->originated),
			 "copies", number(s->originated.copied),
			 "modules", report_modules(s));
}

json_t *report_drops(const struct adapter_snapshot *s)
{
	json_t *drops = json_array();

	for (uint32_t i = 0; i < s->n_drops; i++) {
		const struct drop_snapshot *d = &s->drops[i];

		json_array_append_new(drops, json_pack("{s:o, s:o, s:o}",
						       "place", control_text(d->place),
						       "reason", control_text(d->reason),
						       "packets", number(d->packets)));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
			 "name", control_text(s->name),
			 "received", number(s->received),
			 "in_flight", number(s->in_flight),
			 "outcomes", report_outcomes(s),
			 "originated", report_originated(&s->originated),
			 "drops", drops);
}

json_t *report_audit(const char *name, const struct audit_result *result)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
			 "name", control_text(name),
			 "frames", number(result->frames),
			 "mismatches", number(result->mismatches),
			 "violations", number(result->violations),
			 "quarantined", number(result->quarantined),
			 "first", control_text(result->first));
}
