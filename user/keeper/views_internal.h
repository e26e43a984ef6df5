/* SPDX-License-Identifier: BSD-2-Clause */
/* views_internal.h - shared by views.c, view_nbl.c, view_filter.c and view_history.c. */
#ifndef KEEPER_VIEWS_INTERNAL_H
#define KEEPER_VIEWS_INTERNAL_H

#include "keeper/adapter_internal.h"
#include "keeper/views.h"

/* A number, and the name of an NBL, as JSON (returned owned). */
json_t *view_number(uint64_t n);
json_t *view_id(struct nbl_view_id id);

/* The name of a holder or place, or "none" ... (returned owned). */
json_t *view_holder(const struct adapter *a, uint16_t holder);

/* One NBL (borrows; returned owned). */
json_t *view_row(const struct adapter *a, const struct nbl_view_row *row);

#endif
