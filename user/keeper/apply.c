/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/apply.h"

#include "edge/log.h"

static void detach_gone(struct keeper *keeper, const struct conf *was, const struct conf *wanted)
{
	for (size_t i = 0; i < was->n_adapters; i++) {
		const struct adapter_conf *old = &was->adapters[i];
		const struct adapter_conf *new = conf_find(wanted, old->name);
		struct adapter *a = keeper_find(keeper, old->name);

		if (!a || (new && adapter_conf_equal(old, new)))
			continue;
		log_notice("%s: detached: %s in the configuration", old->name,
			   new ? "changed" : "gone");
		adapter_detach(a);
	}
}

static bool attach_one(struct keeper *keeper, const struct adapter_conf *conf)
{
	struct refusal refusal;
	struct adapter *a;

	if (!adapter_attach(keeper, conf, &a, &refusal)) {
		log_error("%s", refusal.reason);
		return false;
	}
	log_notice("%s: attached by configuration", conf->name);
	return true;
}

/* One that runs already is as it should be, unless a command attached it in another way. */
static bool running_is_wanted(struct adapter *a, const struct adapter_conf *conf)
{
	if (adapter_conf_equal_ports(adapter_get_conf(a), conf))
		return true;
	log_warning("%s: left as a command attached it: not as the configuration says. "
		    "Try: nblctl detach %s", conf->name, conf->name);
	return false;
}

unsigned int conf_apply(struct keeper *keeper, const struct conf *was, const struct conf *wanted)
{
	unsigned int n_failed = 0;

	detach_gone(keeper, was, wanted);
	for (size_t i = 0; i < wanted->n_adapters; i++) {
		const struct adapter_conf *conf = &wanted->adapters[i];
		struct adapter *a = keeper_find(keeper, conf->name);
		bool fine = a ? running_is_wanted(a, conf) : attach_one(keeper, conf);

		n_failed += !fine;
	}
	return n_failed;
}
