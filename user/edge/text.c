/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64	/* longer words are near to nothing */

/* Number of bytes of the UTF-8 character 's' begins with, 0 if it begins with none. */
static size_t utf8_length(const unsigned char *s)
{
	static const struct { unsigned char mask, lead; unsigned int least; } forms[] = {
		{ 0x80, 0x00, 0x0 }, { 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};
	unsigned int point;
	size_t n = 0, i;

	while (n < 4 && (s[0] & forms[n].mask) != forms[n].lead)
		n++;
	if (n == 4)
		return 0;
	point = s[0] & (unsigned char)~forms[n].mask;
	for (i = 1; i <= n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3f);
	}
	if (point < forms[n].least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return 0;
	return n + 1;
}

/*
 * Bytes of the printable character 's' begins with, 0 if it begins with a control or
 * no character.
 */
static size_t printable_length(const unsigned char *s)
{
	size_t n = utf8_length(s);

	if (s[0] < 0x20 || s[0] == 0x7f)
		return 0;
	if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0)	/* C1: some terminals obey them */
		return 0;
	return n;
}

const char *text_escape(char *dst, size_t size, const char *src)
{
	const unsigned char *s = (const unsigned char *)src;
	char *end = dst + size - 1, *out = dst;

	while (*s) {
		size_t n = printable_length(s);

		if ((size_t)(end - out) < (n ? n : 4))
			break;
		if (n) {
			memcpy(out, s, n);
			out += n;
			s += n;
		} else {
			out += snprintf(out, 5, "\\x%02x", *s++);
		}
	}
	*out = '\0';
	return dst;
}

bool text_is_clean(const char *s)
{
	while (*s) {
		size_t n = printable_length((const unsigned char *)s);

		if (!n)
			return false;
		s += n;
	}
	return true;
}

bool text_is_name(const char *s)
{
	if (!*s || *s == '-' || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++) {
		if (*s <= ' ' || *s >= 0x7f || *s == '/')
			return false;
	}
	return true;
}

bool text_is_key(const char *s)
{
	static const char others[] = "_-.";

	if (!*s || *s == '-')
		return false;
	for (; *s; s++) {
		if (!isascii((unsigned char)*s))
			return false;
		if (!isalnum((unsigned char)*s) && !strchr(others, *s))
			return false;
	}
	return true;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/*
 * Letters to insert, delete, replace or swap with their neighbour to get from one word
 * to the other.
 */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], na = strlen(a), nb = strlen(b);
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *oldest = before;

		before = above;
		above = row;
		row = oldest;
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = min3(above[j] + 1, row[j - 1] + 1,
				      above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}
	return row[nb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
	const char *nearest = NULL;
	size_t least = strlen(word) / 3 + 2;	/* as far as still counts as near, plus one */

	for (size_t i = 0; i < n; i++) {
		size_t distance = edit_distance(word, candidates[i]);

		if (distance < least && distance < strlen(candidates[i])) {
			least = distance;
			nearest = candidates[i];
		}
	}
	return nearest;
}

const char *text_suggest(char *dst, size_t size, const char *nearest)
{
	if (nearest)
		snprintf(dst, size, " (did you mean \"%s\"?)", nearest);
	else
		*dst = '\0';
	return dst;
}

bool text_to_number(const char *s, unsigned long min, unsigned long max, unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	number = strtoul(s, &end, 10);
	if (*end || errno || number < min || number > max)
		return false;
	*ret_number = number;
	return true;
}
