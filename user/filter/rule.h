/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule.h - a filter as a line of text.
 *
 *   LAYER [FIELD=VALUE[,VALUE...]]... ACTION [weight=N] [sublayer=N] [hard]
 *
 *   inbound-mac ether-type=lldp block
 *   outbound-ip4 protocol=udp dport=53,5353 dst=10.0.0.0/8 callout:inspect-oob weight=5
 *   inbound-ip4 tcp-flags:all=0x12 dport=1-1023 permit hard
 *
 * A VALUE is a number, a name, an address, LOW-HIGH or ADDRESS/BITS; FIELD:any=,
 * FIELD:all= and FIELD:none= look at bits. Several values of one field are
 * alternatives; different fields must all hold. Actions: permit, block,
 * callout:NAME, inspect:NAME. Of filters at one layer the one in the higher
 * sublayer is asked first, then the one of the higher weight, then the first.
 */
#ifndef FILTER_RULE_H
#define FILTER_RULE_H

#include "filter/wfp.h"

struct filter_rule {
	enum nbl_layer layer;
	enum nbl_wfp_action action;
	char callout[NBL_CALLOUT_NAME_MAX];	/* "" = none */
	uint64_t weight;
	uint16_t sublayer;
	uint16_t flags;				/* enum nbl_wfp_filter_flags */
	uint32_t n_conditions;
	struct nbl_wfp_condition conditions[WFP_MAX_CONDITIONS];
};

/*
 * Understands one line (borrows 'text'; fills ret). 0, or -EINVAL with a sentence in
 * 'error' that names the word.
 */
NBL_MUST_CHECK int filter_rule_parse(const char *text, struct filter_rule *ret, char *error,
				     size_t error_size);

/* ---- values (rule_value.c) ---- */

/* What can be conditioned on, and how its values are written. */
struct filter_field {
	const char *name;
	uint8_t field;			/* enum nbl_field */
	uint8_t kind;			/* rule_value.c's */
	uint64_t most;
	const struct filter_name *names;	/* ended by NULL; or none */
};

struct filter_name {
	const char *name;
	uint64_t value;
};

/* The field written so, or NULL. Returns borrowed, for ever. */
const struct filter_field *filter_field_find(const char *name, size_t size);

/*
 * Understands one value of 'f' as 'match' has it; EQUAL stands for whatever fits (borrows
 * 'text', fills ret). False if it is none.
 */
bool filter_value_parse(const struct filter_field *f, enum nbl_wfp_match match, const char *text,
			struct nbl_wfp_condition *ret);

/* What values of 'f' look like, for messages. Returns borrowed, for ever. */
const char *filter_value_example(const struct filter_field *f);

#endif
