/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * contract.h - the words in which every nbl function states who owns what.
 *
 * Every other header includes this one and uses these words, and no synonyms:
 *
 *   takes             the object passes to the callee on every path, success or error
 *   takes first n     burst calls: the return value n tells how many from the front
 *                     were taken; the rest stay yours
 *   borrows           used during the call only; neither kept nor released
 *   keeps             the callee adds its own reference; yours is unchanged
 *   returns owned     you release it with the function named
 *   returns borrowed  valid until the event named
 *   fills             output through ret_x, written only on success
 *
 * Where a comment says nothing of a pointer it is borrowed: the object a call is of, most of
 * all. An int that may be an error is 0 or negative errno where nothing else is said.
 *
 * Errors are negative errno. Sizes, offsets and lengths are bytes unless named
 * n_ (a count). A field or parameter ending in _be is in network byte order.
 * "Rule: XX-nn" names a rule of the ownership model; nbl(7) lists them.
 */
#ifndef NBL_CONTRACT_H
#define NBL_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBL_API         __attribute__((visibility("default")))
#define NBL_MUST_CHECK  __attribute__((warn_unused_result))
#define NBL_LIKELY(x)   __builtin_expect(!!(x), 1)
#define NBL_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Bytes the processors here exchange at once; shared counters keep this far apart. */
#define NBL_CACHE_LINE 64

#endif
