/* SPDX-License-Identifier: BSD-2-Clause */
/* module_state.c - the table behind the life of a module. */
#include "stack/module_state.h"

#include <errno.h>

#define NEVER NBL_N_MODULE_STATES

/* Where each event leads from each state; what is not named cannot happen. */
static enum nbl_module_state leads_to(enum nbl_module_state from, enum nbl_module_event event)
{
	static const struct {
		enum nbl_module_state from;
		enum nbl_module_event event;
		enum nbl_module_state to;
	} table[] = {
		{ NBL_MODULE_DETACHED, NBL_MODULE_ATTACH, NBL_MODULE_ATTACHING },
		{ NBL_MODULE_ATTACHING, NBL_MODULE_ATTACHED, NBL_MODULE_PAUSED },
		{ NBL_MODULE_ATTACHING, NBL_MODULE_ATTACH_FAILED, NBL_MODULE_DETACHED },
		{ NBL_MODULE_PAUSED, NBL_MODULE_RESTART, NBL_MODULE_RESTARTING },
		{ NBL_MODULE_RESTARTING, NBL_MODULE_RESTARTED, NBL_MODULE_RUNNING },
		{ NBL_MODULE_RESTARTING, NBL_MODULE_RESTART_FAILED, NBL_MODULE_PAUSED },
		{ NBL_MODULE_RUNNING, NBL_MODULE_PAUSE, NBL_MODULE_PAUSING },
		{ NBL_MODULE_PAUSING, NBL_MODULE_PAUSE_DONE, NBL_MODULE_PAUSED },
		{ NBL_MODULE_PAUSED, NBL_MODULE_DETACH, NBL_MODULE_DETACHED },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].from == from && table[i].event == event)
			return table[i].to;
	return NEVER;
}

int nbl_module_life_go(struct nbl_module_life *life, enum nbl_module_event event)
{
	enum nbl_module_state to = leads_to(life->state, event);

	if (to != NEVER) {
		life->state = to;
		return 0;
	}
	life->n_rejected++;
	life->rejected_in = life->state;
	life->rejected = event;
	return -EINVAL;
}

const char *nbl_module_state_name(enum nbl_module_state state)
{
	static const char *const names[] = {
		"detached", "attaching", "paused", "restarting", "running", "pausing",
	};

	return state < NBL_N_MODULE_STATES ? names[state] : "?";
}

const char *nbl_module_event_name(enum nbl_module_event event)
{
	static const char *const names[] = {
		"attach", "attached", "attach-failed", "restart", "restarted", "restart-failed",
		"pause", "pause-done", "detach",
	};

	return event < NBL_N_MODULE_EVENTS ? names[event] : "?";
}
