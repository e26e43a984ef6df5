/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "edge/text.h"

#define LINE_SIZE 1024

static int max_level = LOG_INFO;
static int plain = -1;		/* -1: not looked yet */
static uint64_t lost;		/* lines nobody was ready to take */

void log_set_level(int level)
{
	max_level = level;
}

void log_set_plain(int want_plain)
{
	plain = want_plain;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* A pipe that says it is writable takes a line of less than PIPE_BUF bytes without blocking. */
static void line_write(int level, const char *text)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[LINE_SIZE + 8], prefix[4] = "";
	int length;

	if (plain < 0)
		plain = isatty(STDERR_FILENO);
	if (!plain)
		snprintf(prefix, sizeof(prefix), "<%d>", level & 7);
	length = snprintf(line, sizeof(line), "%s%s\n", prefix, text);
	if (poll(&out, 1, 0) != 1 || write(STDERR_FILENO, line, (size_t)length) != length)
		lost++;
}

/* True if 'site' may write now. Tells of what it had to leave out before. */
static bool site_may_write(struct log_site *site, int level)
{
	uint64_t now = now_ms();
	char text[80];

	if (!site->n_lines || now - site->window_start_ms >= LOG_WINDOW_MS) {
		site->window_start_ms = now;
		site->n_lines = 0;
		if (site->suppressed || lost) {
			snprintf(text, sizeof(text),
				 "nbld: suppressed %" PRIu64 " lines before the next",
				 site->suppressed + lost);
			site->suppressed = 0;
			lost = 0;
			line_write(level, text);
		}
	}
	if (site->n_lines == LOG_LINES_PER_WINDOW) {
		site->suppressed++;
		return false;
	}
	site->n_lines++;
	return true;
}

void log_write(struct log_site *site, int level, const char *format, ...)
{
	char text[LINE_SIZE], clean[LINE_SIZE];
	va_list args;

	if (level > max_level || !site_may_write(site, level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	line_write(level, text_escape(clean, sizeof(clean), text));
}
