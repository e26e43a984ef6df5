// SPDX-License-Identifier: BSD-2-Clause
#include "port/why.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int why_set(char *why, size_t size, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return -error;
}

const char *why_errno(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "unknown error";
}

const char *why_reason(int error, const char *otherwise)
{
	static const struct {
		uint32_t number;
		bool admin_does;
		const char *words;
	} needed[] = {
		{ CAP_NET_ADMIN, false, "CAP_NET_ADMIN is missing" },
		{ CAP_BPF, true, "CAP_BPF is missing" },
		{ CAP_PERFMON, true, "CAP_PERFMON is missing" },
		{ CAP_NET_RAW, false, "CAP_NET_RAW is missing" },
	};
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint64_t effective;

	if (error != EPERM || syscall(SYS_capget, &header, data) < 0)
		return otherwise;
	effective = data[0].effective | (uint64_t)data[1].effective << 32;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (effective & 1ULL << needed[i].number)
			continue;
		if (!needed[i].admin_does || !(effective & 1ULL << CAP_SYS_ADMIN))
			return needed[i].words;
	}
	return otherwise;
}
