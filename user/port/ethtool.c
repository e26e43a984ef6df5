// SPDX-License-Identifier: BSD-2-Clause
#include "port/ethtool.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ethtool_call(const char *ifname, void *command)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	/* Hosts without IPv4 have this one. */
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
	request.ifr_data = command;
	r = ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int count_features(const char *ifname, uint32_t *ret_n)
{
	struct ethtool_sset_info *info = calloc(1, sizeof(*info) + sizeof(info->data[0]));
	int r;

	if (!info)
		return -ENOMEM;
	info->cmd = ETHTOOL_GSSET_INFO;
	info->sset_mask = 1ULL << ETH_SS_FEATURES;
	r = ethtool_call(ifname, info);
	*ret_n = r == 0 && info->sset_mask ? info->data[0] : 0;
	free(info);
	return r;
}

/* Fills ret_names: owned, free(). Names are ETH_GSTRING_LEN apart and end within that. */
static int list_features(const char *ifname, struct ethtool_gstrings **ret_names)
{
	struct ethtool_gstrings *names;
	uint32_t n = 0;
	int r;

	r = count_features(ifname, &n);
	if (r < 0)
		return r;
	names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	if (!names)
		return -ENOMEM;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = n;
	r = ethtool_call(ifname, names);
	if (r < 0) {
		free(names);
		return r;
	}
	*ret_names = names;
	return 0;
}

static const char *feature_name(const struct ethtool_gstrings *names, uint32_t i)
{
	return (const char *)names->data + (size_t)i * ETH_GSTRING_LEN;
}

static int find_feature(const char *ifname, const char *feature, uint32_t *ret_i, uint32_t *ret_n)
{
	struct ethtool_gstrings *names;
	int r = list_features(ifname, &names);

	if (r < 0)
		return r;
	r = -ENOENT;
	for (uint32_t i = 0; i < names->len && r < 0; i++) {
		if (strncmp(feature_name(names, i), feature, ETH_GSTRING_LEN))
			continue;
		*ret_i = i;
		r = 0;
	}
	*ret_n = names->len;
	free(names);
	return r;
}

/* Fills ret_f: owned, free(). One block per 32 features. */
static int read_features(const char *ifname, uint32_t n, struct ethtool_gfeatures **ret_f)
{
	uint32_t n_blocks = (n + 31) / 32;
	struct ethtool_gfeatures *f;
	int r;

	f = calloc(1, sizeof(*f) + n_blocks * sizeof(f->features[0]));
	if (!f)
		return -ENOMEM;
	f->cmd = ETHTOOL_GFEATURES;
	f->size = n_blocks;
	r = ethtool_call(ifname, f);
	if (r < 0) {
		free(f);
		return r;
	}
	*ret_f = f;
	return 0;
}

static struct ethtool_feature_state state_of(const struct ethtool_gfeatures *f, uint32_t i)
{
	const struct ethtool_get_features_block *block = &f->features[i / 32];
	uint32_t bit = 1u << (i % 32);

	return (struct ethtool_feature_state){
		.on = block->active & bit,
		.changeable = (block->available & bit) && !(block->never_changed & bit),
	};
}

int ethtool_get_feature(const char *ifname, const char *feature,
			struct ethtool_feature_state *ret_f)
{
	struct ethtool_gfeatures *f;
	uint32_t i, n;
	int r;

	r = find_feature(ifname, feature, &i, &n);
	if (r < 0)
		return r;
	r = read_features(ifname, n, &f);
	if (r < 0)
		return r;
	*ret_f = state_of(f, i);
	free(f);
	return 0;
}

static int write_features(const char *ifname, uint32_t n, const uint32_t *valid, bool on)
{
	uint32_t n_blocks = (n + 31) / 32;
	struct ethtool_sfeatures *s;
	int r;

	s = calloc(1, sizeof(*s) + n_blocks * sizeof(s->features[0]));
	if (!s)
		return -ENOMEM;
	s->cmd = ETHTOOL_SFEATURES;
	s->size = n_blocks;
	for (uint32_t i = 0; i < n_blocks; i++) {
		s->features[i].valid = valid[i];
		s->features[i].requested = on ? valid[i] : 0;
	}
	r = ethtool_call(ifname, s);
	free(s);
	return r;
}

int ethtool_set_feature(const char *ifname, const char *feature, bool on)
{
	struct ethtool_feature_state state;
	uint32_t *valid;
	uint32_t i, n;
	int r;

	r = find_feature(ifname, feature, &i, &n);
	if (r < 0)
		return r;
	valid = calloc(n / 32 + 1, sizeof(*valid));
	if (!valid)
		return -ENOMEM;
	valid[i / 32] = 1u << (i % 32);
	r = write_features(ifname, n, valid, on);
	free(valid);
	if (r < 0)
		return r;
	/* The call succeeds also where another setting keeps the feature from changing. */
	r = ethtool_get_feature(ifname, feature, &state);
	if (r < 0)
		return r;
	return state.on == on ? 0 : -EOPNOTSUPP;
}

static bool leaves_frames_unfinished(const char *name)
{
	return !strncmp(name, "tx-", 3);
}

static int switch_off_unfinished(const char *ifname, const struct ethtool_gstrings *names)
{
	struct ethtool_gfeatures *f;
	uint32_t *valid;
	int r;

	r = read_features(ifname, names->len, &f);
	if (r < 0)
		return r;
	valid = calloc(names->len / 32 + 1, sizeof(*valid));
	if (!valid) {
		free(f);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < names->len; i++)
		if (leaves_frames_unfinished(feature_name(names, i)) && state_of(f, i).changeable)
			valid[i / 32] |= 1u << (i % 32);
	r = write_features(ifname, names->len, valid, false);
	free(valid);
	free(f);
	return r;
}

int ethtool_finish_frames(const char *ifname)
{
	struct ethtool_gstrings *names;
	int r = list_features(ifname, &names);

	if (r < 0)
		return r;
	r = switch_off_unfinished(ifname, names);
	free(names);
	return r;
}

int ethtool_get_channels(const char *ifname, struct ethtool_channels_state *ret_c)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };
	int r = ethtool_call(ifname, &c);

	if (r < 0)
		return r;
	*ret_c = (struct ethtool_channels_state){
		.rx = c.rx_count, .tx = c.tx_count, .combined = c.combined_count,
		.max_rx = c.max_rx, .max_tx = c.max_tx, .max_combined = c.max_combined,
	};
	return 0;
}

int ethtool_get_driver(const char *ifname, char *driver, size_t size)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	int r = ethtool_call(ifname, &info);

	if (r < 0)
		return r;
	snprintf(driver, size, "%s", info.driver);
	return 0;
}
