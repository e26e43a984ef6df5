/* SPDX-License-Identifier: BSD-2-Clause */
/* ports.c - port numbers. */
#include "stack/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64
#define MAX_WORDS ((NBL_MAX_PORT + 1) / WORD_BITS)

int nbl_ports_init(struct nbl_ports *ports, uint32_t n_queues)
{
	*ports = (struct nbl_ports){ .n_words = 1, .n_queues = n_queues };
	ports->allocated = calloc(1, sizeof(*ports->allocated));
	ports->uses = calloc(n_queues + 1, sizeof(*ports->uses));
	if (!ports->allocated || !ports->uses) {
		nbl_ports_done(ports);
		return -ENOMEM;
	}
	ports->allocated[0] = 1;
	ports->uses[0].state = NBL_PORT_ACTIVE;
	return 0;
}

void nbl_ports_done(struct nbl_ports *ports)
{
	free(ports->allocated);
	free(ports->uses);
	*ports = (struct nbl_ports){ .n_words = 0 };
}

static bool is_allocated(const struct nbl_ports *ports, uint32_t port)
{
	return port / WORD_BITS < ports->n_words &&
	       ports->allocated[port / WORD_BITS] >> port % WORD_BITS & 1;
}

static enum nbl_port_state state_of(const struct nbl_ports *ports, uint32_t port)
{
	return port <= ports->n_queues ? ports->uses[port].state : NBL_PORT_INACTIVE;
}

/* ---- numbers ---- */

static int grow(struct nbl_ports *ports)
{
	uint32_t n_words = ports->n_words * 2;
	uint64_t *words;

	if (ports->n_words == MAX_WORDS)
		return -ENOSPC;
	words = reallocarray(ports->allocated, n_words, sizeof(*words));
	if (!words)
		return -ENOMEM;
	memset(words + ports->n_words, 0, ports->n_words * sizeof(*words));
	ports->allocated = words;
	ports->n_words = n_words;
	return 0;
}

int nbl_ports_alloc(struct nbl_ports *ports)
{
	uint32_t word = ports->full_below, bit;
	int r;

	while (word < ports->n_words && !~ports->allocated[word])
		word++;
	ports->full_below = word;
	if (word == ports->n_words) {
		r = grow(ports);
		if (r < 0)
			return r;
	}
	bit = (uint32_t)__builtin_ctzll(~ports->allocated[word]);
	ports->allocated[word] |= 1ull << bit;
	return (int)(word * WORD_BITS + bit);
}

int nbl_ports_free(struct nbl_ports *ports, uint32_t port)
{
	if (!port || !is_allocated(ports, port))
		return -EINVAL;
	if (state_of(ports, port) != NBL_PORT_INACTIVE)
		return -EBUSY;
	ports->allocated[port / WORD_BITS] &= ~(1ull << port % WORD_BITS);
	if (port / WORD_BITS < ports->full_below)
		ports->full_below = port / WORD_BITS;
	return 0;
}

/* ---- states ---- */

static bool is_twice(const uint32_t *list, uint32_t i)
{
	for (uint32_t j = 0; j < i; j++)
		if (list[j] == list[i])
			return true;
	return false;
}

static int check_activate(const struct nbl_ports *ports, const uint32_t *list, uint32_t i)
{
	if (!list[i] || !is_allocated(ports, list[i]) || is_twice(list, i))
		return -EINVAL;
	if (list[i] > ports->n_queues)
		return -ENXIO;
	return state_of(ports, list[i]) == NBL_PORT_ACTIVE ? -EALREADY : 0;
}

int nbl_ports_activate(struct nbl_ports *ports, const uint32_t *list, uint32_t n)
{
	int r = n ? 0 : -EINVAL;

	if (n == 1 && !list[0])
		return 0;
	for (uint32_t i = 0; i < n && !r; i++)
		r = check_activate(ports, list, i);
	for (uint32_t i = 0; i < n && !r; i++)
		ports->uses[list[i]].state = NBL_PORT_ACTIVE;
	return r;
}

int nbl_ports_deactivate(struct nbl_ports *ports, const uint32_t *list, uint32_t n)
{
	uint32_t n_out = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!list[i] || state_of(ports, list[i]) == NBL_PORT_INACTIVE || is_twice(list, i))
			return -EINVAL;
	for (uint32_t i = 0; i < n; i++)
		n_out += atomic_load(&ports->uses[list[i]].n_out);
	for (uint32_t i = 0; i < n; i++)
		ports->uses[list[i]].state = n_out ? NBL_PORT_CLOSING : NBL_PORT_INACTIVE;
	if (!n)
		return -EINVAL;
	return n_out ? -EBUSY : 0;
}

/* ---- packets ---- */

int nbl_ports_queue(const struct nbl_ports *ports, uint32_t port)
{
	if (NBL_LIKELY(state_of(ports, port) == NBL_PORT_ACTIVE))
		return (int)port;
	return is_allocated(ports, port) ? -ENETDOWN : -EINVAL;
}

void nbl_ports_note_sent(struct nbl_ports *ports, uint32_t port)
{
	atomic_fetch_add_explicit(&ports->uses[port].n_out, 1, memory_order_relaxed);
}

void nbl_ports_note_completed(struct nbl_ports *ports, uint32_t port)
{
	atomic_fetch_sub_explicit(&ports->uses[port].n_out, 1, memory_order_relaxed);
}
