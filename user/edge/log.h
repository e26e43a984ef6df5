/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - the daemon's log: lines on standard error with journald level prefixes.
 *
 * "SUBJECT: what happened", the subject an interface, adapter or "nbld". Each
 * call site may write 10 lines in 5 seconds; what is beyond is counted, and told
 * with the next line that may pass. A reader that is stuck costs lines, never
 * time. Programs only: libraries return errors. Not in the data path.
 */
#ifndef EDGE_LOG_H
#define EDGE_LOG_H

#include <stdint.h>
#include <syslog.h>

#define LOG_LINES_PER_WINDOW	10
#define LOG_WINDOW_MS		5000

struct log_site {
	uint64_t window_start_ms;
	uint32_t n_lines;	/* in this window */
	uint64_t suppressed;	/* not yet told of */
};

/*
 * Writes a line of 'level' (LOG_ERR ... LOG_DEBUG) unless 'site' wrote too many.
 * Keeper's thread.
 */
void log_write(struct log_site *site, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Lines above 'level' are left out; LOG_INFO to begin with. */
void log_set_level(int level);

/* Prefixes are left out on a terminal; false there brings them back. */
void log_set_plain(int plain);

#define log_at(level, ...) do {						\
		static struct log_site log_site_here;			\
		log_write(&log_site_here, (level), __VA_ARGS__);	\
	} while (0)

#define log_error(...)		log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...)	log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)		log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)		log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)		log_at(LOG_DEBUG, __VA_ARGS__)

#endif
