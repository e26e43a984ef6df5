/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libbpf_log.h - keeps libbpf from printing, and its first complaint.
 */
#ifndef PORT_LIBBPF_LOG_H
#define PORT_LIBBPF_LOG_H

/* Silences libbpf in this process and forgets what it said; call before what may fail. */
void libbpf_log_clear(void);

/*
 * Its first warning in this thread since then, without prefix; "" if none. Later ones only say that
 * what was asked for failed. Borrowed until libbpf_log_clear().
 */
const char *libbpf_log_first(void);

#endif
