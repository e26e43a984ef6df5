/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * views.h - answers to what the operator asks of ownership.
 */
#ifndef WORKER_VIEWS_H
#define WORKER_VIEWS_H

#include "worker/worker.h"

/*
 * Does a request of the WORKER_VIEW_ kind or WORKER_HISTORY (borrows; fills its part of
 * ret). Lanes parked. 0; -ENOENT, -ENOMEM; -EINVAL for any other request.
 */
NBL_MUST_CHECK int worker_view(struct worker *w, const struct worker_request *request,
			       struct worker_reply *ret);

#endif
