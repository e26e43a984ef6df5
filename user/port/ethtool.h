/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ethtool.h - driver settings of interfaces: features, channels, driver name.
 *
 * The ethtool ioctls, one socket per call, in the calling thread's network
 * namespace. Feature names are the kernel's own ("rx-vlan-hw-parse"), which
 * `ethtool -k` prints under its older, friendlier names for some.
 */
#ifndef PORT_ETHTOOL_H
#define PORT_ETHTOOL_H

#include <nbl/contract.h>

struct ethtool_feature_state {
	bool on;
	bool changeable;	/* `ethtool -k` says [fixed] when not */
};

/* Fills ret_f. -ENODEV no such interface, -ENOENT no such feature. */
NBL_MUST_CHECK int ethtool_get_feature(const char *ifname, const char *feature,
				       struct ethtool_feature_state *ret_f);

/* Switches one feature. -EOPNOTSUPP: fixed, or the driver left it as it was. */
NBL_MUST_CHECK int ethtool_set_feature(const char *ifname, const char *feature, bool on);

/*
 * Switches off every changeable feature that makes the stack hand over frames unfinished:
 * all of "tx-" (checksums, segmentation, tags, scattered bytes).
 */
NBL_MUST_CHECK int ethtool_finish_frames(const char *ifname);

struct ethtool_channels_state {
	uint32_t rx, tx, combined;
	uint32_t max_rx, max_tx, max_combined;
};

/* Fills ret_c. -EOPNOTSUPP: the driver has no such notion. */
NBL_MUST_CHECK int ethtool_get_channels(const char *ifname, struct ethtool_channels_state *ret_c);

/* Fills 'driver' (cut to 'size' bytes with its NUL). */
NBL_MUST_CHECK int ethtool_get_driver(const char *ifname, char *driver, size_t size);

#endif
