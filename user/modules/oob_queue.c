// SPDX-License-Identifier: BSD-2-Clause
/* oob_queue.c - packets on their way to the thread that decides. */
#include "modules/oob_queue.h"

#include <errno.h>
#include <stdlib.h>

int oob_queue_init(struct oob_queue *q, uint32_t limit)
{
	uint64_t n = 2;

	if (!limit || limit > 1u << 20)
		return -EINVAL;
	while (n < limit)
		n *= 2;
	q->places = calloc(n, sizeof(*q->places));
	if (!q->places)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++)
		atomic_init(&q->places[i].turn, i);
	q->mask = n - 1;
	atomic_init(&q->put, 0);
	q->taken = 0;
	return 0;
}

void oob_queue_done(struct oob_queue *q)
{
	free(q->places);
}

bool oob_queue_put(struct oob_queue *q, struct oob_item item)
{
	uint64_t number = atomic_load_explicit(&q->put, memory_order_relaxed);
	struct oob_place *place;

	for (;;) {
		uint64_t turn;

		place = &q->places[number & q->mask];
		turn = atomic_load_explicit(&place->turn, memory_order_acquire);
		if (turn < number)	/* not taken yet since the round before: full */
			return false;
		if (turn > number) {
			number = atomic_load_explicit(&q->put, memory_order_relaxed);
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(&q->put, &number, number + 1,
							  memory_order_relaxed,
							  memory_order_relaxed))
			break;
	}
	place->item = item;
	atomic_store_explicit(&place->turn, number + 1, memory_order_release);
	return true;
}

const struct oob_item *oob_queue_first(struct oob_queue *q)
{
	struct oob_place *place = &q->places[q->taken & q->mask];

	if (atomic_load_explicit(&place->turn, memory_order_acquire) != q->taken + 1)
		return NULL;
	return &place->item;
}

void oob_queue_drop(struct oob_queue *q)
{
	struct oob_place *place = &q->places[q->taken & q->mask];

	atomic_store_explicit(&place->turn, q->taken + q->mask + 1, memory_order_release);
	q->taken++;
}
