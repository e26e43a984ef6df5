/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module_state.h - the life of a module on its adapter: one table of all that may happen.
 *
 *   Detached -> Attaching -> Paused -> Restarting -> Running -> Pausing -> Paused -> Detached
 *
 * A failed attach ends in Detached, a failed restart in Paused. Rule: FS-01.
 */
#ifndef STACK_MODULE_STATE_H
#define STACK_MODULE_STATE_H

#include <nbl/module.h>

enum nbl_module_event {
	NBL_MODULE_ATTACH,
	NBL_MODULE_ATTACHED,
	NBL_MODULE_ATTACH_FAILED,
	NBL_MODULE_RESTART,
	NBL_MODULE_RESTARTED,
	NBL_MODULE_RESTART_FAILED,
	NBL_MODULE_PAUSE,
	NBL_MODULE_PAUSE_DONE,
	NBL_MODULE_DETACH,
	NBL_N_MODULE_EVENTS
};

/* Of one module on its adapter. All zero: Detached. */
struct nbl_module_life {
	enum nbl_module_state state;
	uint32_t n_rejected;			/* events that could not happen */
	enum nbl_module_state rejected_in;	/* the last of them, if there was one */
	enum nbl_module_event rejected;
};

/*
 * Moves 'life' on by 'event'. 0; -EINVAL, counted and noted, if that cannot happen in its
 * state, which stays. Control thread. Rule: FS-01.
 */
int nbl_module_life_go(struct nbl_module_life *life, enum nbl_module_event event);

/* True in states in which packets may pass (FS-03). */
static inline bool nbl_module_state_passes(uint8_t state)
{
	return state == NBL_MODULE_RUNNING || state == NBL_MODULE_PAUSING;
}

/* True in states in which requests and status indications may pass (FS-03). */
static inline bool nbl_module_state_answers(uint8_t state)
{
	return state != NBL_MODULE_DETACHED && state != NBL_MODULE_ATTACHING;
}

/* Names as commands print them, e.g. "running". Returns borrowed, for ever. */
const char *nbl_module_state_name(enum nbl_module_state state);
const char *nbl_module_event_name(enum nbl_module_event event);

#endif
