// SPDX-License-Identifier: BSD-2-Clause
#include "port/tc.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <stdlib.h>
#include <string.h>

#include "port/libbpf_log.h"
#include "port/rtnl.h"

#define TC_REQUEST_SIZE 256

static enum bpf_tc_attach_point point_of(enum tc_direction direction)
{
	return direction == TC_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

int tc_prepare(uint32_t ifindex, bool *ret_made)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int r;

	libbpf_log_clear();
	r = bpf_tc_hook_create(&hook);
	if (r < 0 && r != -EEXIST)
		return r;
	*ret_made = r == 0;
	return 0;
}

int tc_attach(uint32_t ifindex, enum tc_direction direction, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = point_of(direction));
	/* Handle and priority 0: the kernel takes free ones, of a priority above all others'. */
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd);

	libbpf_log_clear();
	return bpf_tc_attach(&hook, &opts);
}

static void put_mirred(struct nlmsghdr *nlh, uint32_t to_ifindex)
{
	const struct tc_mirred parameters = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_INGRESS_REDIR,
		.ifindex = to_ifindex,
	};
	struct nlattr *actions = mnl_attr_nest_start(nlh, TCA_BPF_ACT);
	struct nlattr *first = mnl_attr_nest_start(nlh, 1);
	struct nlattr *options;

	mnl_attr_put_strz(nlh, TCA_ACT_KIND, "mirred");
	options = mnl_attr_nest_start(nlh, TCA_ACT_OPTIONS);
	mnl_attr_put(nlh, TCA_MIRRED_PARMS, sizeof(parameters), &parameters);
	mnl_attr_nest_end(nlh, options);
	mnl_attr_nest_end(nlh, first);
	mnl_attr_nest_end(nlh, actions);
}

int tc_attach_mirred(uint32_t ifindex, int prog_fd, uint32_t to_ifindex)
{
	char buffer[TC_REQUEST_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nlattr *options;
	struct tcmsg *tcm;

	nlh->nlmsg_type = RTM_NEWTFILTER;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	tcm->tcm_info = TC_H_MAKE(0, htons(ETH_P_ALL));
	mnl_attr_put_strz(nlh, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put_u32(nlh, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(nlh, TCA_BPF_NAME, "nbl_tc_match");
	put_mirred(nlh, to_ifindex);
	mnl_attr_nest_end(nlh, options);
	return rtnl_talk(NETLINK_ROUTE, nlh, NULL, NULL);
}

/* ---- looking at what is there ---- */

struct search {
	uint32_t prog_id;		/* 0: count only */
	const char *prog_name;
	uint32_t n_filters;
	uint32_t handle, priority;	/* of the one that was found; handle 0: none */
};

struct seen {
	uint32_t prog_id;
	const char *name;
};

static int parse_bpf_option(const struct nlattr *attr, void *data)
{
	struct seen *seen = data;

	if (mnl_attr_get_type(attr) == TCA_BPF_ID)
		seen->prog_id = mnl_attr_get_u32(attr);
	else if (mnl_attr_get_type(attr) == TCA_BPF_NAME)
		seen->name = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static int parse_option(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == TCA_OPTIONS)
		return mnl_attr_parse_nested(attr, parse_bpf_option, data);
	return MNL_CB_OK;
}

static int parse_filter(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct search *s = data;
	struct seen seen = { 0 };

	/* Each priority is announced once more without a handle. */
	if (nlh->nlmsg_type != RTM_NEWTFILTER || !tcm->tcm_handle)
		return MNL_CB_OK;
	s->n_filters++;
	if (!s->prog_id || mnl_attr_parse(nlh, sizeof(*tcm), parse_option, &seen) < 0)
		return MNL_CB_OK;
	/* libbpf names a filter "program:[id]". */
	if (seen.prog_id == s->prog_id && seen.name &&
	    !strncmp(seen.name, s->prog_name, strlen(s->prog_name))) {
		s->handle = tcm->tcm_handle;
		s->priority = TC_H_MAJ(tcm->tcm_info) >> 16;
	}
	return MNL_CB_OK;
}

static int list_filters(uint32_t ifindex, enum tc_direction direction, struct search *s)
{
	char buffer[TC_REQUEST_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tcm;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_DUMP;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction == TC_INGRESS ? TC_H_MIN_INGRESS :
									   TC_H_MIN_EGRESS);
	return rtnl_talk(NETLINK_ROUTE, nlh, parse_filter, s);
}

int tc_detach(uint32_t ifindex, enum tc_direction direction, uint32_t prog_id,
	      const char *prog_name)
{
	struct search s = { .prog_id = prog_id, .prog_name = prog_name };
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = point_of(direction));
	LIBBPF_OPTS(bpf_tc_opts, opts);
	int r = list_filters(ifindex, direction, &s);

	if (r < 0)
		return r;
	if (!s.handle)
		return -ENOENT;
	opts.handle = s.handle;
	opts.priority = s.priority;
	libbpf_log_clear();
	return bpf_tc_detach(&hook, &opts);
}

int tc_unprepare(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct search s = { 0 };
	int r;

	r = list_filters(ifindex, TC_INGRESS, &s);
	if (r == 0)
		r = list_filters(ifindex, TC_EGRESS, &s);
	if (r < 0)
		return r;
	if (s.n_filters)
		return -EBUSY;
	libbpf_log_clear();
	return bpf_tc_hook_destroy(&hook);
}

/* ---- noted, then done ---- */

struct clsact_search {
	uint32_t ifindex;
	bool found;
};

static int parse_qdisc(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct clsact_search *s = data;

	if (nlh->nlmsg_type == RTM_NEWQDISC && tcm->tcm_ifindex == (int)s->ifindex &&
	    tcm->tcm_parent == TC_H_CLSACT)
		s->found = true;
	return MNL_CB_OK;
}

static int has_clsact(uint32_t ifindex, bool *ret_has)
{
	struct clsact_search s = { .ifindex = ifindex };
	char buffer[TC_REQUEST_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tcm;
	int r;

	nlh->nlmsg_type = RTM_GETQDISC;
	nlh->nlmsg_flags = NLM_F_DUMP;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_family = AF_UNSPEC;
	r = rtnl_talk(NETLINK_ROUTE, nlh, parse_qdisc, &s);
	*ret_has = s.found;
	return r;
}

int tc_plan(uint32_t ifindex, int prog_fd, struct tc_note *ret_n)
{
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);
	bool has = false;
	int r = bpf_obj_get_info_by_fd(prog_fd, &info, &length);

	if (!r)
		r = has_clsact(ifindex, &has);
	if (r < 0)
		return r;
	*ret_n = (struct tc_note){ .ifindex = ifindex, .clsact_made = !has, .prog_id = info.id };
	return 0;
}

int tc_put(struct tc_note *n, enum tc_direction direction, int prog_fd)
{
	bool made;
	int r = tc_prepare(n->ifindex, &made);

	if (r < 0)
		return r;
	n->clsact_made = made;
	return tc_attach(n->ifindex, direction, prog_fd);
}

void tc_take(const struct tc_note *n, enum tc_direction direction, const char *prog_name)
{
	if (!n->ifindex)
		return;
	tc_detach(n->ifindex, direction, n->prog_id, prog_name);
	if (n->clsact_made)
		tc_unprepare(n->ifindex);
}
