/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * commands.h - what the keeper does when told: one handler for each verb.
 */
#ifndef KEEPER_COMMANDS_H
#define KEEPER_COMMANDS_H

#include <jansson.h>

#include "keeper/adapter.h"

/* Who gives a command. */
struct commander {
	uid_t uid;
	bool may_change;	/* may give commands that change something */
};

/*
 * Obeys 'words' (borrows all). Returns owned, json_decref(): the reply of the
 * control protocol; NULL for want of memory. May take as long as attaching takes.
 */
json_t *command_run(struct keeper *keeper, const struct commander *commander,
		    const char *const *words, size_t n_words);

#endif
