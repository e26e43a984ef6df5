/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/adapter_conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct adapter_conf adapter_conf_default(void)
{
	return (struct adapter_conf){
		.layout = LAYOUT_HOST,
		.xdp = XDP_CHOICE_AUTO,
		.zerocopy = ZEROCOPY_AUTO,
		.hang_limit_ms = 50,	/* RX ring entries at 50 000 packets/s: not yet full */
		.ring_size = 4096,
		.n_pool_frames = 4096,
	};
}

static int upper_check(const struct adapter_conf *conf, char *error, size_t error_size)
{
	if (conf->layout == LAYOUT_HOST && *conf->upper) {
		snprintf(error, error_size, "upper: only layout pair has an upper interface");
		return -EINVAL;
	}
	if (conf->layout == LAYOUT_PAIR && !*conf->upper) {
		snprintf(error, error_size, "upper: layout pair needs a second interface");
		return -EINVAL;
	}
	if (conf->layout == LAYOUT_PAIR && !strcmp(conf->lower, conf->upper)) {
		snprintf(error, error_size, "upper: \"%s\" is the lower interface already",
			 conf->upper);
		return -EINVAL;
	}
	return 0;
}

int adapter_conf_complete(struct adapter_conf *conf, char *error, size_t error_size)
{
	if (!*conf->name)
		memcpy(conf->name, conf->lower, sizeof(conf->lower));
	if (!*conf->lower) {
		if (strlen(conf->name) >= sizeof(conf->lower)) {
			snprintf(error, error_size,
				 "lower: needed, as \"%s\" is too long for an interface",
				 conf->name);
			return -EINVAL;
		}
		memcpy(conf->lower, conf->name, strlen(conf->name) + 1);
	}
	return upper_check(conf, error, error_size);
}

bool adapter_conf_equal_ports(const struct adapter_conf *a, const struct adapter_conf *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->lower, b->lower) &&
	       !strcmp(a->upper, b->upper) && a->layout == b->layout &&
	       a->fail_closed == b->fail_closed && a->xdp == b->xdp &&
	       a->zerocopy == b->zerocopy && a->queues == b->queues &&
	       a->hang_limit_ms == b->hang_limit_ms && a->n_frames == b->n_frames &&
	       a->ring_size == b->ring_size && a->n_pool_frames == b->n_pool_frames;
}

static bool module_equal(const struct module_conf *a, const struct module_conf *b)
{
	if (strcmp(a->name, b->name) || a->n_options != b->n_options)
		return false;
	for (uint32_t i = 0; i < a->n_options; i++) {
		if (strcmp(a->options[i].key, b->options[i].key) ||
		    strcmp(a->options[i].value, b->options[i].value))
			return false;
	}
	return true;
}

bool adapter_conf_equal(const struct adapter_conf *a, const struct adapter_conf *b)
{
	if (!adapter_conf_equal_ports(a, b) || a->n_modules != b->n_modules)
		return false;
	for (uint32_t i = 0; i < a->n_modules; i++) {
		if (!module_equal(&a->modules[i], &b->modules[i]))
			return false;
	}
	return true;
}
