/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/verbs.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "edge/text.h"

static const char attach_details[] =
	"Puts an adapter on an interface: everything that passes there goes through its\n"
	"module stack. host: between the interface and this machine's own network stack.\n"
	"pair: between two interfaces, as a bump in the wire.\n"
	"\n"
	"  name NAME          what to call the adapter; else it is called IF\n"
	"  fail open|closed   what becomes of packets while no worker runs: they take the\n"
	"                     kernel's path (open, the default), or are dropped\n"
	"  queues all|LIST    queues to serve, e.g. 0-3,5\n"
	"  xdp auto|native|generic\n"
	"                     auto tries native, then generic\n"
	"  zerocopy auto|require|off\n"
	"  hang-limit MS      bypass a worker without progress for so long (50; 0 = never)\n"
	"  frames N           frames of memory per queue (0 = as the rings need)\n"
	"  ring N             entries of each RX and TX ring, a power of two (4096)\n"
	"  pool N             frames for deep clones, copies and what modules originate\n"
	"                     (4096; 0 = none)\n"
	"\n"
	"Given again with the same words, attach changes nothing and succeeds.\n";

static const char module_add_details[] =
	"Puts a module into the running stack, on top (next to the upper port), or before\n"
	"(below) or after (above) another one. The modules, and their own options:\n"
	"\n"
	"  count              counts both ways\n"
	"  delay              holds each packet: ms=N (10) limit=N, for each lane and way (4096)\n"
	"  reflect            sends back one EtherType: type=0x9000, or all\n"
	"  reasm              puts IP fragments together: out=fragments|whole timeout=MS (1000)\n"
	"                     max-frames=N (1024) max-datagrams=N (256) tiny=drop|pass\n"
	"  filter             rule=RULES callouts=NAMES, in nbld.conf(5)\n"
	"  tap                to=IF types=TYPE,...: see below\n"
	"\n"
	"Options of every module: mandatory=yes bypass=receive|send|both|none max-held=N\n"
	"max-share=PERCENT (25) soft-age=MS (1000) hard-age=MS (0); 8 of both kinds at most.\n"
	"\n"
	"Module tap is a network device that shows what the adapter receives, and sends what\n"
	"is sent there; it stands above all modules:\n"
	"\n"
	"  to=IF              the device to make; it goes with the tap\n"
	"  types=TYPE,...     frame types: numbers such as 0x0806, arp, ipv4, ipv6, lacp,\n"
	"                     lldp, mpls, pppoe, ptp (all)\n";

static const char module_set_details[] =
	"Gives a module of the running stack other options, at its place; options not named\n"
	"stay as they are. If the module does not take them it goes on with those it had. What\n"
	"it holds goes on first, and its counters begin anew, either way.\n";

static const char pendingnbls_details[] =
	"Lists the NBLs that are not home, those that modules hold first: who holds each, how\n"
	"long, by how many references and children. At most 256 for each adapter; the others\n"
	"are counted. f1234 names the NBL of a receive frame, p1:17 one of a pool.\n";

static const char nbl_details[] =
	"Prints all that is known of one NBL, by its name in pendingnbls, with the first 64\n"
	"bytes of its packet: so it needs the rights to change something.\n";

static const char nbllog_details[] =
	"Prints the last transfers of NBLs from hand to hand: who gave which to whom, and on\n"
	"which path. They are noted from `nbllog NAME on` to `nbllog NAME off`, or until the\n"
	"worker is replaced; the last 4096 of each lane are kept, at most 256 printed.\n";

static const char module_remove_details[] =
	"  force   also if it does not let go of its packets: they are dropped, as by it\n";

/* By enum verb_id. */
static const struct verb verbs[N_VERBS] = {
	[VERB_ATTACH] = { VERB_ATTACH, "attach", NULL, "IF host | IF pair IF2 [KEY VALUE ...]",
		"put an adapter on an interface, or between two", attach_details, true, 2, 32 },
	[VERB_DETACH] = { VERB_DETACH, "detach", NULL, "NAME",
		"take it off and restore the interfaces", NULL, true, 1, 1 },
	[VERB_SHOW] = { VERB_SHOW, "show", NULL, "[NAME]",
		"adapters: ports, modes, outcomes, frames, modules", NULL, false, 0, 1 },
	[VERB_DROPS] = { VERB_DROPS, "drops", NULL, "[NAME]",
		"where and why packets were dropped", NULL, false, 0, 1 },
	[VERB_HOLDS] = { VERB_HOLDS, "holds", NULL, "[NAME]",
		"packets that modules hold, how long and why", NULL, false, 0, 1 },
	[VERB_MODULE_LIST] = { VERB_MODULE_LIST, "module", "list", "NAME",
		"the module stack, from the lower port upward; what its filter rules did", NULL,
		false, 1, 1 },
	[VERB_MODULE_ADD] = { VERB_MODULE_ADD, "module", "add",
		"NAME MODULE [before|after OTHER] [KEY=VALUE ...]",
		"put a module into the stack", module_add_details, true, 2, 16 },
	[VERB_MODULE_SET] = { VERB_MODULE_SET, "module", "set", "NAME MODULE KEY=VALUE ...",
		"give a module other options", module_set_details, true, 3, 2 + 8 },
	[VERB_MODULE_REMOVE] = { VERB_MODULE_REMOVE, "module", "remove", "NAME MODULE [force]",
		"take a module out of the stack", module_remove_details, true, 2, 3 },
	[VERB_PENDINGNBLS] = { VERB_PENDINGNBLS, "pendingnbls", NULL, "[NAME]",
		"NBLs that are not home, and who has them", pendingnbls_details, false, 0, 1 },
	[VERB_NBL] = { VERB_NBL, "nbl", NULL, "ID [NAME]",
		"everything of one NBL", nbl_details, true, 1, 2 },
	[VERB_NBLLOG] = { VERB_NBLLOG, "nbllog", NULL, "[NAME [on|off]]",
		"who handed which NBL to whom", nbllog_details, false, 0, 2 },
	[VERB_NBLPOOL] = { VERB_NBLPOOL, "nblpool", NULL, "[NAME]",
		"pools of NBLs and frames: quota, free, exhausted", NULL, false, 0, 1 },
	[VERB_AUDIT] = { VERB_AUDIT, "audit", NULL, "[NAME]",
		"compare the ledger of frames with the rings", NULL, false, 0, 1 },
	[VERB_VERSION] = { VERB_VERSION, "version", NULL, "",
		"of nblctl and of the running nbld", NULL, false, 0, 0 },
	[VERB_HELP] = { VERB_HELP, "help", NULL, "[COMMAND]",
		"this, or more about one command", NULL, false, 0, 2 },
};

const struct verb *verbs_get(void)
{
	return verbs;
}

const char *verb_synopsis(const struct verb *v, char *dst, size_t size)
{
	snprintf(dst, size, "%s%s%s%s%s", v->name, v->object ? " " : "", v->object ? v->object : "",
		 *v->words ? " " : "", v->words);
	return dst;
}

/* The n-th word (0 or 1) of a verb's name, NULL behind its end. */
static const char *name_word(const struct verb *v, size_t n)
{
	return n == 0 ? v->name : v->object;
}

/*
 * Keeps in 'mask' (bit i = verbs[i]) those whose n-th name word begins with, or,
 * if there are such, is 'word'.
 */
static uint32_t mask_narrow(uint32_t mask, size_t n, const char *word)
{
	uint32_t exact = 0, prefix = 0;

	for (size_t i = 0; i < N_VERBS; i++) {
		const char *name = name_word(&verbs[i], n);

		if (!(mask >> i & 1) || !name || strncmp(name, word, strlen(word)) || !*word)
			continue;
		prefix |= 1u << i;
		if (!strcmp(name, word))
			exact |= 1u << i;
	}
	return exact ? exact : prefix;
}

static const struct verb *mask_first(uint32_t mask)
{
	return &verbs[__builtin_ctz(mask)];
}

/* True if all verbs in 'mask' share their n-th name word. */
static bool mask_agrees(uint32_t mask, size_t n)
{
	const char *name = name_word(mask_first(mask), n);

	for (size_t i = 0; i < N_VERBS; i++) {
		if (mask >> i & 1 && strcmp(name_word(&verbs[i], n), name))
			return false;
	}
	return true;
}

/* Lists the n-th name words of 'mask' once each: "attach, audit". */
static void mask_list(uint32_t mask, size_t n, char *dst, size_t size)
{
	const char *last = "";
	size_t used = 0;

	*dst = '\0';
	for (size_t i = 0; i < N_VERBS; i++) {
		const char *name = mask >> i & 1 ? name_word(&verbs[i], n) : NULL;

		if (!name || !strcmp(name, last))
			continue;
		used += (size_t)snprintf(dst + used, size - used, "%s%s", used ? ", " : "", name);
		last = name;
	}
}

static void unknown_report(uint32_t among, size_t n, const char *word, char *error,
			   size_t error_size)
{
	const char *names[N_VERBS];
	char suggestion[64];
	size_t n_names = 0;

	for (size_t i = 0; i < N_VERBS; i++) {
		if (among >> i & 1 && name_word(&verbs[i], n))
			names[n_names++] = name_word(&verbs[i], n);
	}
	snprintf(error, error_size, "unknown command \"%.64s\"%s. Try: nblctl help", word,
		 text_suggest(suggestion, sizeof(suggestion), text_nearest(word, names, n_names)));
}

/* Says that the words so far fit more than one command. */
static void ambiguous_report(uint32_t mask, size_t n, const char *word, char *error,
			     size_t error_size)
{
	char list[128];

	mask_list(mask, n, list, sizeof(list));
	if (word)
		snprintf(error, error_size,
			 "\"%.64s\" fits more than one command: %s. Try: nblctl help", word, list);
	else
		snprintf(error, error_size, "%s needs one of: %s. Try: nblctl help %s",
			 mask_first(mask)->name, list, mask_first(mask)->name);
}

/*
 * Narrows 'mask' by one word of the command line. False with 'error' filled if nothing
 * or too much is left.
 */
static bool word_resolve(uint32_t *mask, size_t n, const char *word, char *error, size_t error_size)
{
	uint32_t left = word ? mask_narrow(*mask, n, word) : *mask;

	if (!left) {
		unknown_report(*mask, n, word, error, error_size);
		return false;
	}
	if (!mask_agrees(left, n)) {
		ambiguous_report(left, n, word, error, error_size);
		return false;
	}
	*mask = left;
	return true;
}

const struct verb *verb_find(const char *const *words, size_t n_words, size_t *ret_used,
			     char *error, size_t error_size)
{
	uint32_t mask = (1u << N_VERBS) - 1;
	size_t used = 0;
	char synopsis[128];
	const struct verb *v;

	do {
		const char *word = used < n_words ? words[used] : NULL;

		if (!word_resolve(&mask, used, word, error, error_size))
			return NULL;
		v = mask_first(mask);
		used++;
	} while (used < 2 && v->object);

	if (used > n_words || n_words - used < v->min_words || n_words - used > v->max_words) {
		snprintf(error, error_size, "too %s words. Usage: nblctl %s",
			 n_words > used + v->max_words ? "many" : "few",
			 verb_synopsis(v, synopsis, sizeof(synopsis)));
		return NULL;
	}
	*ret_used = used;
	return v;
}

size_t verbs_match(const char *const *words, size_t n_words, const struct verb **ret, char *error,
		   size_t error_size)
{
	uint32_t mask = (1u << N_VERBS) - 1;
	size_t n = 0;

	for (size_t i = 0; i < n_words; i++) {
		uint32_t left = i < 2 ? mask_narrow(mask, i, words[i]) : 0;

		if (!left) {
			unknown_report(mask, i, words[i], error, error_size);
			return 0;
		}
		mask = left;
	}
	for (size_t i = 0; i < N_VERBS; i++) {
		if (mask >> i & 1)
			ret[n++] = &verbs[i];
	}
	return n;
}
