// SPDX-License-Identifier: BSD-2-Clause
#include "port/libbpf_log.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "libbpf: "

static _Thread_local char first[160];

/* Debug and info lines explain nothing to an operator. */
static int keep_first(enum libbpf_print_level level, const char *format, va_list args)
{
	size_t length;

	if (level != LIBBPF_WARN || first[0])
		return 0;
	length = (size_t)vsnprintf(first, sizeof(first), format, args);
	if (length >= sizeof(first))
		length = sizeof(first) - 1;
	while (length && first[length - 1] == '\n')
		first[--length] = '\0';
	return 0;
}

void libbpf_log_clear(void)
{
	libbpf_set_print(keep_first);
	first[0] = '\0';
}

const char *libbpf_log_first(void)
{
	return strncmp(first, PREFIX, strlen(PREFIX)) ? first : first + strlen(PREFIX);
}
