/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.h - words from people and names from the system: what they may hold, how they are shown.
 */
#ifndef EDGE_TEXT_H
#define EDGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies 'src' (borrows) into 'dst' of 'size' bytes (fills), cut if too long, with
 * control bytes and bytes that are no UTF-8 written as \xNN: safe on a terminal
 * and in JSON. Returns 'dst'.
 */
const char *text_escape(char *dst, size_t size, const char *src);

/* True if 's' is UTF-8 without control characters. */
bool text_is_clean(const char *s);

/*
 * True if 's' can name an adapter or an interface: visible ASCII, no '/', no '-' in
 * front, not "." or "..".
 */
bool text_is_name(const char *s);

/* True if 's' can name a module or an option: letters, digits, '_', '-', '.'; not empty. */
bool text_is_key(const char *s);

/*
 * The one of 'n' candidates (borrows) that 'word' was probably meant to be.
 * Returns borrowed, as long as the candidates live; NULL if none is near.
 */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

/* Writes " (did you mean "X"?)" into 'dst' (fills), or "" if 'nearest' is NULL. Returns 'dst'. */
const char *text_suggest(char *dst, size_t size, const char *nearest);

/* Parses 's', all of it, as a decimal number from 'min' to 'max' (fills). False if it is none. */
bool text_to_number(const char *s, unsigned long min, unsigned long max, unsigned long *ret_number);

#endif
