/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.h - the network device of an adapter's tap: made and kept by the keeper, used by the worker.
 *
 * The device lives as long as its descriptor is open somewhere. The keeper keeps it, so
 * that it, and whoever listens on it, outlive a worker.
 */
#ifndef KEEPER_TAP_H
#define KEEPER_TAP_H

#include "edge/tap_conf.h"
#include "keeper/adapter.h"

/*
 * Makes the device, up, with the MTU of the adapter's lower interface, silent by itself, and
 * notes it in 'a', whose worker is not told. False with 'refusal' filled: bad options, a name
 * that is taken, no /dev/net/tun, a tap that is there already.
 */
bool tap_open(struct adapter *a, const struct module_conf *conf, struct refusal *refusal);

/* Closes it; the device goes when the worker closes it, too. None is fine. */
void tap_close(struct adapter *a);

/* The same for the tap among the modules that 'a' is attached with, if there is one: the last. */
bool tap_open_configured(struct adapter *a, struct refusal *refusal);

/*
 * Puts a tap on top of the running stack of 'a', or takes it away: the commands `module add`
 * and `module remove`. False with 'refusal' filled.
 */
bool tap_add(struct adapter *a, const struct module_conf *conf, struct refusal *refusal);
bool tap_remove(struct adapter *a, struct refusal *refusal);

#endif
