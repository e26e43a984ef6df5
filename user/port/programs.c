// SPDX-License-Identifier: BSD-2-Clause
#include "port/programs_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nbl_xdp.skel.h"
#include "port/libbpf_log.h"
#include "port/netdev.h"
#include "port/why.h"

/* linux/bpf.h has it since 6.3 */
#define PROG_FLAG_BOUND_TO_DEVICE (1U << 6)

/* ---- load ---- */

static struct bpf_program *tagged_program(struct nbl_xdp *object, enum nbl_side side)
{
	return side == NBL_LOWER ? object->progs.nbl_xdp_lower_t : object->progs.nbl_xdp_upper_t;
}

/* A program that reads tags is bound to its interface: good for no other, nor for generic mode. */
static void choose_tagged(struct nbl_xdp *object, enum nbl_side side, uint32_t ifindex,
			  bool allowed)
{
	struct bpf_program *program = tagged_program(object, side);
	struct netdev_xdp x;
	bool wanted = allowed && netdev_get_xdp(ifindex, &x) == 0 && x.vlan_tag;

	bpf_program__set_autoload(program, wanted);
	if (!wanted)
		return;
	bpf_program__set_ifindex(program, ifindex);
	bpf_program__set_flags(program, PROG_FLAG_BOUND_TO_DEVICE);
}

static void choose_programs(struct nbl_xdp *object, const struct programs_conf *conf, bool tags)
{
	bool leg = conf->leg_kernel_ifindex;

	choose_tagged(object, NBL_LOWER, conf->ifindex[NBL_LOWER], tags);
	/* The leg's kernel end puts tags into the frames itself. */
	choose_tagged(object, NBL_UPPER, conf->ifindex[NBL_UPPER], tags && !leg);
	bpf_program__set_autoload(object->progs.nbl_tc_egress, leg);
	bpf_program__set_autoload(object->progs.nbl_tc_send, leg);
	bpf_program__set_autoload(object->progs.nbl_tc_to_host, leg);
	bpf_program__set_autoload(object->progs.nbl_tc_match, leg);
	bpf_program__set_autoload(object->progs.nbl_tc_return, leg);
	bpf_program__set_autoload(object->progs.nbl_tc_wire_l, conf->wire);
	bpf_program__set_autoload(object->progs.nbl_tc_wire_u, conf->wire);
}

/*
 * A veth takes redirected frames only while its other end polls, which may change any time; some
 * drivers never do. Frames then go out of such a port by way of tc.
 */
static bool takes_redirected(uint32_t ifindex)
{
	struct netdev_xdp x;
	struct netdev n;

	return netdev_get_xdp(ifindex, &x) == 0 && x.transmit &&
	       netdev_get_index(ifindex, &n) == 0 && strcmp(n.kind, "veth");
}

static int load_object(const struct programs_conf *conf, bool tags, struct nbl_xdp **ret_object)
{
	struct nbl_xdp *object = nbl_xdp__open();
	int r;

	if (!object)
		return -errno;
	object->rodata->nbl_ifindex[NBL_LOWER] = conf->ifindex[NBL_LOWER];
	object->rodata->nbl_ifindex[NBL_UPPER] = conf->ifindex[NBL_UPPER];
	object->rodata->nbl_leg_kernel_ifindex = conf->leg_kernel_ifindex;
	object->rodata->nbl_wire_by_tc[NBL_LOWER] =
		conf->wire && !takes_redirected(conf->ifindex[NBL_UPPER]);
	object->rodata->nbl_wire_by_tc[NBL_UPPER] =
		conf->wire && !takes_redirected(conf->ifindex[NBL_LOWER]);
	choose_programs(object, conf, tags);
	r = nbl_xdp__load(object);
	if (r < 0) {
		nbl_xdp__destroy(object);
		return r;
	}
	*ret_object = object;
	return 0;
}

static int fill_tc_slot(const struct nbl_xdp *object, const struct programs_conf *conf)
{
	uint32_t zero = 0;
	int fd = bpf_program__fd(object->progs.nbl_tc_send);

	if (!conf->leg_kernel_ifindex)
		return 0;
	return bpf_map_update_elem(bpf_map__fd(object->maps.nbl_tc_slot), &zero, &fd, BPF_ANY);
}

static int explain_load(const struct programs_conf *conf, int r, char *why, size_t why_size)
{
	char name[IFNAMSIZ] = "nbld";

	if_indextoname(conf->ifindex[NBL_LOWER], name);
	return why_set(why, why_size, -r,
		       "%s: the BPF programs cannot be loaded (%s): %s. Try: %s", name,
		       why_errno(-r), why_reason(-r, libbpf_log_first()),
		       r == -EPERM ? "systemctl start nbld" : "bpftool feature probe kernel");
}

int programs_load(const struct programs_conf *conf, struct programs **ret_p, char *why,
		  size_t why_size)
{
	struct programs *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return why_set(why, why_size, ENOMEM, "no memory (ENOMEM)");
	p->conf = *conf;
	p->links[NBL_LOWER].fd = -1;
	p->links[NBL_UPPER].fd = -1;

	libbpf_log_clear();
	r = load_object(conf, true, &p->object);
	if (r < 0 && r != -EPERM)
		r = load_object(conf, false, &p->object);
	if (r == 0)
		r = fill_tc_slot(p->object, conf);
	if (r < 0) {
		explain_load(conf, r, why, why_size);
		programs_free(p);
		return r;
	}
	*ret_p = p;
	return 0;
}

struct programs *programs_free(struct programs *p)
{
	if (!p)
		return NULL;
	programs_detach(p, NBL_LOWER);
	programs_detach(p, NBL_UPPER);
	nbl_xdp__destroy(p->object);
	free(p);
	return NULL;
}

/* ---- steer ---- */

/* The programs' clock is at most a tick behind, so a limit without it could act early. */
static uint64_t clock_tick_ns(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) < 0)
		return 10000000;
	return (uint64_t)tick.tv_sec * 1000000000 + (uint64_t)tick.tv_nsec;
}

int programs_set_control(struct programs *p, enum nbl_mode mode, enum nbl_fallback fallback,
			 uint64_t hang_limit_ns)
{
	struct nbl_control control = {
		.mode = mode,
		.fallback = fallback,
		.hang_limit_ns = hang_limit_ns ? hang_limit_ns + clock_tick_ns() : 0,
	};
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map__fd(p->object->maps.nbl_control), &zero, &control,
				   BPF_ANY);
}

int programs_set_lane(struct programs *p, enum nbl_side side, uint32_t queue, uint32_t lane)
{
	uint32_t key = side * NBL_MAX_QUEUES + queue;

	if (queue >= NBL_MAX_QUEUES || lane >= NBL_MAX_LANES)
		return -EINVAL;
	return bpf_map_update_elem(bpf_map__fd(p->object->maps.nbl_lane_of), &key, &lane, BPF_ANY);
}

static int sockets_fd(const struct programs *p, enum nbl_side side)
{
	return bpf_map__fd(side == NBL_LOWER ? p->object->maps.nbl_xsks_lower :
					       p->object->maps.nbl_xsks_upper);
}

/* A lane that is new to its queue must not inherit the count of waiting of the one before. */
static int forget_watch(struct programs *p, enum nbl_side side, uint32_t queue)
{
	uint32_t key = side * NBL_MAX_QUEUES + queue;
	struct nbl_watch watch = { 0 };

	p->object->bss->nbl_hung_lane = 0;
	return bpf_map_update_elem(bpf_map__fd(p->object->maps.nbl_watch), &key, &watch, BPF_ANY);
}

int programs_set_socket(struct programs *p, enum nbl_side side, uint32_t queue, int fd)
{
	int r;

	if (queue >= NBL_MAX_QUEUES)
		return -EINVAL;
	r = forget_watch(p, side, queue);
	if (r < 0)
		return r;
	return bpf_map_update_elem(sockets_fd(p, side), &queue, &fd, BPF_ANY);
}

void programs_clear_socket(struct programs *p, enum nbl_side side, uint32_t queue)
{
	bpf_map_delete_elem(sockets_fd(p, side), &queue);
}

/* ---- figures and descriptors ---- */

int programs_read_path(const struct programs *p, enum nbl_side side, struct nbl_path *ret_path)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct nbl_path sum = { 0 };
	struct nbl_path *each;
	uint32_t key = side;
	int r;

	if (n_cpus < 0)
		return n_cpus;
	each = calloc((size_t)n_cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	r = bpf_map_lookup_elem(bpf_map__fd(p->object->maps.nbl_path), &key, each);
	for (int i = 0; r == 0 && i < n_cpus; i++) {
		sum.redirected += each[i].redirected;
		sum.bypassed += each[i].bypassed;
		sum.hung += each[i].hung;
		sum.dropped += each[i].dropped;
	}
	free(each);
	if (r < 0)
		return r;
	*ret_path = sum;
	return 0;
}

struct programs_fds programs_get_fds(const struct programs *p)
{
	bool leg = p->conf.leg_kernel_ifindex;

	return (struct programs_fds){
		.link = { p->links[NBL_LOWER].fd, p->links[NBL_UPPER].fd },
		.tc_slot = leg ? bpf_map__fd(p->object->maps.nbl_tc_slot) : -1,
		.progress = bpf_map__fd(p->object->maps.nbl_progress),
	};
}

int programs_get_tc_fd(const struct programs *p, enum programs_tc which)
{
	const struct bpf_program *const programs[PROGRAMS_N_TC] = {
		[PROGRAMS_TC_EGRESS] = p->object->progs.nbl_tc_egress,
		[PROGRAMS_TC_TO_HOST] = p->object->progs.nbl_tc_to_host,
		[PROGRAMS_TC_MATCH] = p->object->progs.nbl_tc_match,
		[PROGRAMS_TC_RETURN] = p->object->progs.nbl_tc_return,
		[PROGRAMS_TC_WIRE_LOWER] = p->object->progs.nbl_tc_wire_l,
		[PROGRAMS_TC_WIRE_UPPER] = p->object->progs.nbl_tc_wire_u,
	};
	int fd = bpf_program__fd(programs[which]);

	return fd < 0 ? -1 : fd;
}

int programs_xdp_fd(const struct programs *p, enum nbl_side side, bool tags)
{
	const struct bpf_program *plain = side == NBL_LOWER ? p->object->progs.nbl_xdp_lower :
							      p->object->progs.nbl_xdp_upper;
	int fd = bpf_program__fd(tags ? tagged_program(p->object, side) : plain);

	return fd < 0 ? -1 : fd;
}

bool programs_name_of(uint32_t prog_id, char *name, size_t size)
{
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(prog_id);
	int r;

	if (fd < 0)
		return false;
	r = bpf_obj_get_info_by_fd(fd, &info, &length);
	close(fd);
	if (r < 0)
		return false;
	snprintf(name, size, "%s", info.name);
	return true;
}
