/* SPDX-License-Identifier: BSD-2-Clause */
/* bypass.c - when packets go past the worker, and what is done about one that hangs. */
#include "keeper/adapter_internal.h"

#include <signal.h>

#include "edge/log.h"
#include "port/why.h"

#define TICK_US		1000000ull
#define HUNG_TICKS	3	/* so long bypassed for a hang, the worker is replaced */

/* True if packets went past the worker since the last call because it hangs. */
static bool hangs(struct adapter *a)
{
	bool hung = false;

	for (int side = 0; side < NBL_N_SIDES; side++) {
		struct nbl_path path;

		if (programs_read_path(a->programs, (enum nbl_side)side, &path) < 0)
			continue;
		hung |= path.hung > a->ports[side].hung_seen;
		a->ports[side].hung_seen = path.hung;
	}
	return hung;
}

void adapter_set_bypass(struct adapter *a, const char *bypass)
{
	enum nbl_fallback fallback = a->conf.fail_closed || a->stack_is_down ? NBL_FALLBACK_DROP :
				     a->conf.layout == LAYOUT_PAIR ? NBL_FALLBACK_WIRE :
				     NBL_FALLBACK_PASS;
	int r = programs_set_control(a->programs, bypass ? NBL_MODE_BYPASS : NBL_MODE_RUN, fallback,
				     a->conf.hang_limit_ms * 1000000ull);

	if (r < 0)
		log_error("%s: programs not told (%s)", a->conf.name, why_errno(-r));
	a->bypass = bypass;
	/* What went past a worker before is not the fault of the one that begins. */
	if (!bypass)
		hangs(a);
}

static void look_at(struct adapter *a)
{
	bool hung = hangs(a);

	if (!a->worker.pid || a->stack_is_down)
		return;
	a->bypass = hung ? "hang" : NULL;
	a->hung_ticks = hung ? a->hung_ticks + 1 : 0;
	if (hung)
		log_warning("%s: worker %d hangs: packets go past it", a->conf.name, a->worker.pid);
	if (a->hung_ticks < HUNG_TICKS)
		return;
	log_error("%s: worker %d hangs for %d s: replacing it", a->conf.name, a->worker.pid,
		  HUNG_TICKS);
	kill(a->worker.pid, SIGKILL);
	a->hung_ticks = 0;
}

/* Once a second while there are adapters. */
static int tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct keeper *k = userdata;

	(void)usec;
	for (struct adapter *a = k->adapters; a; a = a->next)
		look_at(a);
	if (!k->adapters)
		return 0;
	sd_event_source_set_time_relative(source, TICK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void bypass_watch(struct keeper *k)
{
	static sd_event_source *source;

	int r;

	if (!source) {
		r = sd_event_add_time_relative(k->event, &source, CLOCK_MONOTONIC, TICK_US,
					       TICK_US / 10, tick, k);
	} else {
		sd_event_source_set_time_relative(source, TICK_US);
		r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	if (r < 0)
		log_error("nbld: hung workers will not be replaced (%s)", why_errno(-r));
}
