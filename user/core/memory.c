/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SIZE 4096u
#define MAX_FRAMES (1u << 24)	/* keeps every product below 2^63 */

struct header {
	uint32_t magic;
	uint32_t layout;
	struct nbl_memory_shape shape;
	uint32_t sum;			/* of all before: some wrong shapes have the right size */
	_Atomic bool link_down[2];
};

/* FNV-1a. */
static uint32_t sum_of(const struct header *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < offsetof(struct header, sum); i++)
		sum = (sum ^ bytes[i]) * 16777619u;
	return sum;
}

static size_t page_up(size_t size)
{
	return (size + PAGE_SIZE - 1) & ~(size_t)(PAGE_SIZE - 1);
}

static bool shape_is_valid(const struct nbl_memory_shape *s)
{
	bool power_of_two = s->frame_size && !(s->frame_size & (s->frame_size - 1));

	return power_of_two && s->frame_size >= 2048 && s->frame_size <= 65536 &&
	       s->n_queues && s->n_queues <= 1024 &&
	       s->frames_per_queue && s->frames_per_queue <= MAX_FRAMES / s->n_queues &&
	       s->n_pool_frames <= MAX_FRAMES &&
	       s->n_lanes && s->n_lanes <= s->n_queues &&
	       s->lane_block_size && s->lane_block_size % NBL_CACHE_LINE == 0 &&
	       s->lane_block_size <= 1u << 20;
}

/* Where the parts begin, in bytes from the header. */
struct layout {
	size_t ledger, blocks, frames, end;
};

static struct layout lay_out(const struct nbl_memory_shape *s)
{
	size_t n_frames = nbl_memory_n_frames(s);
	struct layout l = { .ledger = PAGE_SIZE };

	l.blocks = l.ledger + page_up(n_frames * sizeof(uint64_t));
	l.frames = l.blocks + page_up((size_t)s->n_lanes * s->lane_block_size);
	l.end = l.frames + page_up(n_frames * s->frame_size);
	return l;
}

static int map(struct nbl_memory *m)
{
	const struct layout l = lay_out(&m->shape);
	void *base = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	m->base = base;
	m->ledger.entries = (_Atomic uint64_t *)(void *)(m->base + l.ledger);
	m->ledger.n_frames = nbl_memory_n_frames(&m->shape);
	m->link_down = ((struct header *)base)->link_down;
	m->lane_blocks = m->base + l.blocks;
	m->frames = m->base + l.frames;
	m->frames_size = l.end - l.frames;
	return 0;
}

int nbl_memory_create(const struct nbl_memory_shape *shape, struct nbl_memory *ret)
{
	struct nbl_memory m = { .fd = -1, .shape = *shape };
	struct header *header;
	int r = 0;

	if (!shape_is_valid(shape))
		return -EINVAL;
	m.size = lay_out(shape).end;
	m.fd = memfd_create("nbld", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m.fd < 0)
		return -errno;
	/* Sealed, so that no worker can shrink it under the keeper's feet. */
	if (ftruncate(m.fd, (off_t)m.size) < 0 ||
	    fcntl(m.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	if (!r)
		r = map(&m);
	if (r < 0) {
		close(m.fd);
		return r;
	}
	header = (struct header *)(void *)m.base;
	*header = (struct header){
		.magic = NBL_MEMORY_MAGIC, .layout = NBL_MEMORY_LAYOUT, .shape = *shape };
	header->sum = sum_of(header);
	*ret = m;
	return 0;
}

int nbl_memory_adopt(int fd, struct nbl_memory *ret)
{
	struct nbl_memory m = { .fd = fd };
	struct header header;
	struct stat st;
	int r = -EPROTO;

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) || fstat(fd, &st) < 0)
		goto refuse;
	if (header.magic != NBL_MEMORY_MAGIC || header.layout != NBL_MEMORY_LAYOUT ||
	    header.sum != sum_of(&header) || !shape_is_valid(&header.shape))
		goto refuse;
	m.shape = header.shape;
	m.size = lay_out(&m.shape).end;
	if ((size_t)st.st_size != m.size)
		goto refuse;
	r = map(&m);
	if (r < 0)
		goto refuse;
	*ret = m;
	return 0;
refuse:
	close(fd);
	return r;
}

void nbl_memory_close(struct nbl_memory *m)
{
	if (!m->base)
		return;
	munmap(m->base, m->size);
	close(m->fd);
	*m = (struct nbl_memory){ .fd = -1 };
}
