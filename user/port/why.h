/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * why.h - the sentence that explains a refusal: "IF: what happened (ERRNO): why. Try: command".
 */
#ifndef PORT_WHY_H
#define PORT_WHY_H

#include <nbl/contract.h>

/* Writes the sentence into 'why' (cut to 'size') and returns -error: return why_set(...). */
__attribute__((format(printf, 4, 5))) int why_set(char *why, size_t size, int error,
						 const char *format, ...);

/* "EBUSY" for EBUSY. Returns borrowed, for ever. */
const char *why_errno(int error);

/*
 * The reason for 'error' as words: "CAP_BPF is missing" when it is EPERM and this process lacks
 * one of CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_NET_RAW (CAP_SYS_ADMIN stands for the two in
 * the middle); else 'otherwise', which it returns borrowed.
 */
const char *why_reason(int error, const char *otherwise);

#endif
