/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "keeper/adapter_internal.h"
#include "port/why.h"

/* ---- the device ---- */

static int device_configure(const char *ifname, uint32_t mtu)
{
	struct netdev n;
	int r = netdev_get(ifname, &n);

	if (r < 0)
		return r;
	/* what the host says there by itself would go out of the adapter */
	netdev_disable_ipv6(ifname);
	r = netdev_set_mtu(n.ifindex, mtu);
	if (r < 0)
		return r;
	return netdev_set_flags(n.ifindex, IFF_UP | IFF_NOARP, IFF_UP | IFF_NOARP | IFF_MULTICAST);
}

/* Returns owned a descriptor, close(), or negative errno. */
static int device_make(const char *ifname, uint32_t mtu)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	memcpy(request.ifr_name, ifname, strlen(ifname));
	r = ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
	if (!r)
		r = device_configure(ifname, mtu);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static bool name_is_free(const struct adapter *a, const char *ifname, struct refusal *refusal)
{
	char why[REASON_SIZE];
	struct netdev n;

	if (netdev_get(ifname, &n) == -ENODEV)
		return true;
	snprintf(why, sizeof(why),
		 "%s: no tap on %s (EEXIST): a tap makes its own device, and there is one of that "
		 "name. Try: nblctl module add %s tap to=OTHER", ifname, a->conf.name,
		 a->conf.name);
	refuse(refusal, -EEXIST, why);
	return false;
}

bool tap_open(struct adapter *a, const struct module_conf *conf, struct refusal *refusal)
{
	char why[REASON_SIZE], error[256];
	int r;

	r = tap_conf_parse(conf, &a->tap, error, sizeof(error));
	if (r < 0) {
		snprintf(why, sizeof(why), "%s: %s (EINVAL). Try: nblctl help module add",
			 a->conf.name, error);
		refuse(refusal, r, why);
		return false;
	}
	if (!name_is_free(a, a->tap.ifname, refusal))
		return false;
	r = device_make(a->tap.ifname, a->ports[NBL_LOWER].dev.mtu);
	if (r < 0) {
		snprintf(why, sizeof(why), "%s: no tap on %s (%s): %s. Try: modprobe tun",
			 a->tap.ifname, a->conf.name, why_errno(-r),
			 why_reason(-r, "the device was not made"));
		refuse(refusal, r, why);
		return false;
	}
	a->tap_fd = r;
	return true;
}

void tap_close(struct adapter *a)
{
	if (a->tap_fd)
		close(a->tap_fd);
	a->tap_fd = 0;
}

bool tap_open_configured(struct adapter *a, struct refusal *refusal)
{
	char why[REASON_SIZE];

	for (uint32_t i = 0; i < a->conf.n_modules; i++) {
		if (!tap_conf_is_tap(&a->conf.modules[i]))
			continue;
		if (i + 1 == a->conf.n_modules)
			return tap_open(a, &a->conf.modules[i], refusal);
		snprintf(why, sizeof(why),
			 "%s: module tap is below module %s (EINVAL): it stands above all modules. "
			 "Try: put it last", a->conf.name, a->conf.modules[i + 1].name);
		refuse(refusal, -EINVAL, why);
		return false;
	}
	return true;
}

/* ---- commands ---- */

static bool has_place(const struct adapter *a, struct refusal *refusal)
{
	char why[REASON_SIZE];

	if (!a->tap_fd && a->conf.n_modules < ADAPTER_MAX_MODULES)
		return true;
	if (a->tap_fd)
		snprintf(why, sizeof(why),
			 "%s: module tap is in the stack already (EEXIST), to %s. Try: nblctl "
			 "module remove %s tap", a->conf.name, a->tap.ifname, a->conf.name);
	else
		snprintf(why, sizeof(why), "%s: the stack is full (ENOSPC): %d modules. "
			 "Try: nblctl module remove %s MODULE", a->conf.name, ADAPTER_MAX_MODULES,
			 a->conf.name);
	refuse(refusal, a->tap_fd ? -EEXIST : -ENOSPC, why);
	return false;
}

bool tap_add(struct adapter *a, const struct module_conf *conf, struct refusal *refusal)
{
	struct worker_request request = { .op = WORKER_TAP_OPEN };
	struct worker_reply reply;

	if (!has_place(a, refusal) || !tap_open(a, conf, refusal))
		return false;
	request.tap = a->tap;
	if (!worker_ask(a, &request, &reply, refusal)) {
		tap_close(a);
		return false;
	}
	a->conf.modules[a->conf.n_modules++] = *conf;
	return true;
}

bool tap_remove(struct adapter *a, struct refusal *refusal)
{
	const struct worker_request request = { .op = WORKER_TAP_CLOSE };
	struct worker_reply reply;

	if (!worker_ask(a, &request, &reply, refusal))
		return false;
	tap_close(a);
	a->conf.n_modules--;
	return true;
}
