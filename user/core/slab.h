/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h - where the engine's NBLs lie, so that a pointer can be told from one
 * that was made up (DM-16).
 *
 * Reading takes no lock; adding and removing is for making and freeing pools
 * and lanes.
 */
#ifndef CORE_SLAB_H
#define CORE_SLAB_H

#include <nbl/nbl.h>

/*
 * 'n' NBLs lie 'stride' bytes apart from 'first' on (borrows until removed). Bare
 * NBLs behind bare NBLs become one run: those of receive frames come one by one.
 * Older runs that this one overlaps are gone, for their memory is. -ENOSPC if
 * there are too many runs.
 */
int nbl_slab_add(const void *first, size_t stride, size_t n);

/* The memory from 'first' on, 'size' bytes, holds no NBLs any more. */
void nbl_slab_remove(const void *first, size_t size);

#endif
