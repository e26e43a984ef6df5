// SPDX-License-Identifier: BSD-2-Clause
/* rule_value.c - the fields of rules, and how their values are written. */
#include "filter/rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 64

enum kind { KIND_NUMBER, KIND_MAC, KIND_ADDRESS };

static const struct filter_name ether_types[] = {
	{ "ip4", 0x0800 }, { "arp", 0x0806 }, { "ip6", 0x86dd }, { "lldp", 0x88cc }, { NULL, 0 }
};

static const struct filter_name protocols[] = {
	{ "icmp", WFP_ICMP }, { "tcp", WFP_TCP }, { "udp", WFP_UDP }, { "icmp6", WFP_ICMPV6 },
	{ "sctp", WFP_SCTP }, { "udplite", WFP_UDPLITE }, { NULL, 0 }
};

static const struct filter_name fragments[] = {
	{ "whole", 0 }, { "first", NBL_FRAGMENT_FIRST }, { "later", NBL_FRAGMENT_LATER },
	{ NULL, 0 }
};

static const struct filter_name directions[] = {
	{ "in", NBL_DIRECTION_INBOUND }, { "out", NBL_DIRECTION_OUTBOUND }, { NULL, 0 }
};

static const struct filter_field fields[] = {
	{ "mac-src", NBL_FIELD_MAC_SOURCE, KIND_MAC, 0, NULL },
	{ "mac-dst", NBL_FIELD_MAC_DESTINATION, KIND_MAC, 0, NULL },
	{ "mac-local", NBL_FIELD_MAC_LOCAL, KIND_MAC, 0, NULL },
	{ "mac-remote", NBL_FIELD_MAC_REMOTE, KIND_MAC, 0, NULL },
	{ "ether-type", NBL_FIELD_ETHER_TYPE, KIND_NUMBER, 0xffff, ether_types },
	{ "vlan", NBL_FIELD_VLAN_ID, KIND_NUMBER, 0xfff, NULL },
	{ "ip-version", NBL_FIELD_IP_VERSION, KIND_NUMBER, 15, NULL },
	{ "src", NBL_FIELD_IP_SOURCE, KIND_ADDRESS, 0, NULL },
	{ "dst", NBL_FIELD_IP_DESTINATION, KIND_ADDRESS, 0, NULL },
	{ "local", NBL_FIELD_IP_LOCAL, KIND_ADDRESS, 0, NULL },
	{ "remote", NBL_FIELD_IP_REMOTE, KIND_ADDRESS, 0, NULL },
	{ "protocol", NBL_FIELD_IP_PROTOCOL, KIND_NUMBER, 0xff, protocols },
	{ "fragment", NBL_FIELD_IP_FRAGMENT, KIND_NUMBER, 3, fragments },
	{ "sport", NBL_FIELD_PORT_SOURCE, KIND_NUMBER, 0xffff, NULL },
	{ "dport", NBL_FIELD_PORT_DESTINATION, KIND_NUMBER, 0xffff, NULL },
	{ "local-port", NBL_FIELD_PORT_LOCAL, KIND_NUMBER, 0xffff, NULL },
	{ "remote-port", NBL_FIELD_PORT_REMOTE, KIND_NUMBER, 0xffff, NULL },
	{ "icmp-type", NBL_FIELD_ICMP_TYPE, KIND_NUMBER, 0xff, NULL },
	{ "icmp-code", NBL_FIELD_ICMP_CODE, KIND_NUMBER, 0xff, NULL },
	{ "tcp-flags", NBL_FIELD_TCP_FLAGS, KIND_NUMBER, 0xff, NULL },
	{ "direction", NBL_FIELD_DIRECTION, KIND_NUMBER, 1, directions },
	{ "queue", NBL_FIELD_QUEUE, KIND_NUMBER, 0xffff, NULL },
	{ "port", NBL_FIELD_PORT, KIND_NUMBER, 0xffff, NULL },
};

const struct filter_field *filter_field_find(const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!strncmp(fields[i].name, name, size) && !fields[i].name[size])
			return &fields[i];
	}
	return NULL;
}

const char *filter_value_example(const struct filter_field *f)
{
	switch (f->kind) {
	case KIND_MAC:
		return "an address like 02:00:00:00:00:01";
	case KIND_ADDRESS:
		return "an address, or ADDRESS/BITS";
	default:
		return f->names ? "a number, LOW-HIGH or a name" : "a number or LOW-HIGH";
	}
}

static bool parse_number(const struct filter_field *f, const char *text, uint64_t *ret)
{
	char *end;

	for (const struct filter_name *n = f->names; n && n->name; n++) {
		if (!strcmp(n->name, text)) {
			*ret = n->value;
			return true;
		}
	}
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, text[1] == 'x' ? 16 : 10);
	return !*end && !errno && *ret <= f->most;
}

static bool parse_numbers(const struct filter_field *f, char *text, struct nbl_wfp_condition *c)
{
	char *dash = strchr(text, '-');

	if (!dash || c->match != WFP_MATCH_EQUAL)
		return parse_number(f, text, &c->low);
	*dash = '\0';
	c->match = WFP_MATCH_RANGE;
	return parse_number(f, text, &c->low) && parse_number(f, dash + 1, &c->high) &&
	       c->low <= c->high;
}

static bool parse_mac(const char *text, struct nbl_wfp_condition *c)
{
	unsigned int b[6];
	int n = 0;

	if (c->match != WFP_MATCH_EQUAL ||
	    strspn(text, "0123456789abcdefABCDEF:") != strlen(text) ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &n) != 6 || text[n])
		return false;
	for (int i = 0; i < 6; i++)
		c->low = c->low << 8 | b[i];
	return true;
}

static bool parse_address(char *text, struct nbl_wfp_condition *c)
{
	char *slash = strchr(text, '/'), *end;
	unsigned long bits;

	if (c->match != WFP_MATCH_EQUAL)
		return false;
	if (slash)
		*slash = '\0';
	if (inet_pton(AF_INET, text, c->address) == 1)
		c->ip_version = 4;
	else if (inet_pton(AF_INET6, text, c->address) == 1)
		c->ip_version = 6;
	else
		return false;
	if (!slash)
		return true;
	bits = strtoul(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end || bits > (c->ip_version == 4 ? 32 : 128))
		return false;
	c->match = WFP_MATCH_PREFIX;
	c->prefix_size = (uint8_t)bits;
	return true;
}

bool filter_value_parse(const struct filter_field *f, enum nbl_wfp_match match, const char *text,
			struct nbl_wfp_condition *ret)
{
	struct nbl_wfp_condition c = { .field = f->field, .match = (uint8_t)match };
	char copy[VALUE_MAX];
	bool good;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	good = f->kind == KIND_MAC     ? parse_mac(copy, &c)
	       : f->kind == KIND_ADDRESS ? parse_address(copy, &c)
					 : parse_numbers(f, copy, &c);
	if (good)
		*ret = c;
	return good;
}
