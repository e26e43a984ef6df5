/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/conf.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "edge/conf_file.h"
#include "edge/module_conf.h"
#include "edge/settings.h"
#include "edge/text.h"

#define N_KEYS_MAX 32		/* of an adapter section */
#define ERROR_SIZE 400
#define UNIQUE_SECTION (CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES)

/*
 * A key that is put behind the file's text: libconfuse takes the end of the file
 * for the end of all open sections, so what ends too early is told by where this
 * key turns up.
 */
#define END_KEY "\001end"

/* Where a module's option stands: libconfuse keeps no lines. */
struct option_line {
	const cfg_t *section;
	char key[OPTION_KEY_MAX];
	int line;
};

/* One reading of one file. */
struct reading {
	const char *path;
	FILE *errors;			/* lines of text, as they are found */
	unsigned int n_errors;
	const cfg_t *section;		/* the adapter whose keys are being read */
	uint32_t keys_seen;		/* of it; bit i = settings_get()[i] */
	struct option_line *lines;
	size_t n_lines;
	bool ended;			/* END_KEY was seen */
};

/* libconfuse's callbacks carry no pointer of ours. */
static struct reading *current;

/* 'line' 0: the file as a whole. */
static void __attribute__((format(printf, 3, 4)))
error_at(struct reading *r, int line, const char *format, ...)
{
	char text[ERROR_SIZE], clean[ERROR_SIZE * 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_escape(clean, sizeof(clean), text);
	if (line)
		fprintf(r->errors, "%s:%d: %s\n", r->path, line, clean);
	else
		fprintf(r->errors, "%s: %s\n", r->path, clean);
	r->n_errors++;
}

/* ---- what libconfuse calls while it reads ---- */

static void option_line_add(struct reading *r, const cfg_t *section, const char *key)
{
	struct option_line *lines = reallocarray(r->lines, r->n_lines + 1, sizeof(*lines));

	if (!lines)
		return;		/* costs the message its exact line */
	r->lines = lines;
	lines[r->n_lines] = (struct option_line){ .section = section, .line = section->line };
	snprintf(lines[r->n_lines++].key, sizeof(lines->key), "%s", key);
}

static void unknown_key(struct reading *r, const cfg_t *section, const char *key)
{
	static const char *const sections[] = { "adapter", "module" };
	const char *nearest = NULL;
	char suggestion[64];

	if (section->title)
		setting_find(key, SETTING_FILE, &nearest);
	if (!nearest)
		nearest = text_nearest(key, &sections[section->title ? 1 : 0], 1);
	text_suggest(suggestion, sizeof(suggestion), nearest);
	if (section->title)
		error_at(r, section->line, "unknown key \"%.64s\" in adapter \"%.64s\"%s", key,
			 section->title, suggestion);
	else
		error_at(r, section->line, "unknown key \"%.64s\"%s", key, suggestion);
}

/* True if 'word' is the end of the file; then what libconfuse says after it is of no use. */
static bool is_end(struct reading *r, const cfg_t *section, const char *word, bool is_key)
{
	if (strcmp(word, END_KEY))
		return false;
	r->ended = true;
	if (!is_key)
		error_at(r, section->line, "the file ends where a value should be");
	else if (section->title)
		error_at(r, section->line, "the file ends, but section %s \"%.64s\" does not",
			 section->name, section->title);
	return true;
}

/*
 * libconfuse's messages. "no such option" is no error in its eyes, as sections
 * take free-form keys: so a module's options come by here, and so do the
 * unknown keys of an adapter.
 */
static void on_error(cfg_t *cfg, const char *format, va_list args)
{
	char text[ERROR_SIZE];

	if (current->ended)
		return;
	if (strstr(format, "no such option")) {
		const char *key = va_arg(args, const char *);

		if (is_end(current, cfg, key, true))
			return;
		if (!strcmp(cfg->name, "module"))
			option_line_add(current, cfg, key);
		else
			unknown_key(current, cfg, key);
		return;
	}
	if (strstr(format, "found duplicate title")) {
		error_at(current, cfg->line, "%s \"%.64s\" is there already",
			 cfg->title ? "module" : "adapter", va_arg(args, const char *));
		return;
	}
	vsnprintf(text, sizeof(text), format, args);
	error_at(current, cfg->line, "%s", text);
}

/* A known key of an adapter: judged now, as only now its line is known; kept by the caller. */
static int on_setting(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct adapter_conf scratch = adapter_conf_default();
	const struct setting *first, *s;
	const char *nearest;
	char error[ERROR_SIZE];
	uint32_t bit;
	size_t n;

	*(const char **)result = value;
	if (is_end(current, cfg, value, false))
		return 0;
	first = settings_get(&n);
	s = setting_find(opt->name, SETTING_FILE, &nearest);
	bit = 1u << (s - first);
	if (current->section != cfg) {
		current->section = cfg;
		current->keys_seen = 0;
	}
	if (current->keys_seen & bit)
		error_at(current, cfg->line, "%s is given twice in adapter \"%s\"", s->key,
			 cfg->title);
	current->keys_seen |= bit;
	if (s->parse(s, &scratch, value, error, sizeof(error)) < 0)
		error_at(current, cfg->line, "%s", error);
	return 0;	/* go on: there may be more to say */
}

/* ---- from libconfuse's tree to ours ---- */

static int option_line_find(const struct reading *r, const cfg_t *section, const char *key)
{
	for (size_t i = 0; i < r->n_lines; i++) {
		if (r->lines[i].section == section &&
		    !strncmp(r->lines[i].key, key, OPTION_KEY_MAX - 1))
			return r->lines[i].line;
	}
	return section->line;
}

static void module_build(struct reading *r, cfg_t *section, struct adapter_conf *conf)
{
	char error[ERROR_SIZE];
	struct module_conf m;
	cfg_opt_t *opt;

	if (module_conf_init(&m, cfg_title(section), error, sizeof(error)) < 0) {
		error_at(r, section->line, "%s", error);
		return;
	}
	for (unsigned int i = 0; (opt = cfg_getnopt(section, i)); i++) {
		const char *value = cfg_opt_getnstr(opt, 0);

		if (!strcmp(opt->name, END_KEY))
			continue;
		if (module_conf_add_option(&m, opt->name, value ? value : "", error,
					   sizeof(error)) < 0)
			error_at(r, option_line_find(r, section, opt->name), "%s", error);
	}
	if (adapter_conf_add_module(conf, &m, error, sizeof(error)) < 0)
		error_at(r, section->line, "adapter \"%s\": %s", conf->name, error);
}

/* Wrong values were told of by on_setting(); here they are only left out. */
static void adapter_build(struct reading *r, cfg_t *section, struct adapter_conf *conf)
{
	const char *title = cfg_title(section), *nearest, *value;
	char error[ERROR_SIZE];
	bool wrong = false;	/* then what it lacks may be what was meant */
	cfg_opt_t *opt;

	*conf = adapter_conf_default();
	if (!text_is_name(title) || strlen(title) >= sizeof(conf->name)) {
		error_at(r, section->line, "\"%.64s\" is not an adapter's name", title);
		return;
	}
	strcpy(conf->name, title);
	for (unsigned int i = 0; (opt = cfg_getnopt(section, i)); i++) {
		const struct setting *s = setting_find(opt->name, SETTING_FILE, &nearest);

		value = s ? cfg_opt_getnstr(opt, 0) : NULL;
		if (value && s->parse(s, conf, value, error, sizeof(error)) < 0)
			wrong = true;
		if (!s && opt->type != CFGT_SEC)
			wrong = true;
	}
	for (unsigned int i = 0; i < cfg_size(section, "module"); i++)
		module_build(r, cfg_getnsec(section, "module", i), conf);
	if (!wrong && adapter_conf_complete(conf, error, sizeof(error)) < 0)
		error_at(r, section->line, "adapter \"%s\": %s", conf->name, error);
}

static bool uses(const struct adapter_conf *conf, const char *ifname)
{
	return *ifname && (!strcmp(conf->lower, ifname) || !strcmp(conf->upper, ifname));
}

/* An interface can be in one adapter only. */
static void interface_check(struct reading *r, const cfg_t *section, const struct conf *conf,
			    size_t n, const char *ifname)
{
	for (size_t i = 0; i < n; i++) {
		if (uses(&conf->adapters[i], ifname))
			error_at(r, section->line,
				 "adapter \"%s\": adapter \"%s\" has interface \"%s\" already",
				 conf->adapters[n].name, conf->adapters[i].name, ifname);
	}
}

static int conf_build(struct reading *r, cfg_t *root, struct conf *conf)
{
	size_t n = cfg_size(root, "adapter");

	conf->adapters = calloc(n ? n : 1, sizeof(*conf->adapters));
	if (!conf->adapters)
		return -ENOMEM;
	conf->n_adapters = n;
	for (size_t i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(root, "adapter", (unsigned int)i);

		adapter_build(r, section, &conf->adapters[i]);
		interface_check(r, section, conf, i, conf->adapters[i].lower);
		interface_check(r, section, conf, i, conf->adapters[i].upper);
	}
	return r->n_errors ? -EINVAL : 0;
}

/* ---- a reading ---- */

/* Makes libconfuse's schema out of ours. 'options' has room for N_KEYS_MAX. */
static void schema_fill(cfg_opt_t *options, cfg_opt_t *module)
{
	cfg_opt_t section = CFG_SEC("module", module, UNIQUE_SECTION | CFGF_KEYSTRVAL);
	cfg_opt_t end = CFG_END();
	size_t n;
	const struct setting *settings = settings_get(&n);

	for (size_t i = 0; i < n; i++) {
		cfg_opt_t option = CFG_STR_CB(settings[i].key, NULL, CFGF_NODEFAULT, on_setting);

		if (settings[i].places & SETTING_FILE)
			*options++ = option;
	}
	*options++ = section;
	*options = end;
}

static int conf_parse(struct reading *r, FILE *in, struct conf *ret)
{
	cfg_opt_t module[] = { CFG_END() }, adapter[N_KEYS_MAX];
	cfg_opt_t root[] = {
		CFG_SEC("adapter", adapter, UNIQUE_SECTION),
		CFG_END()
	};
	int result = -EINVAL;
	cfg_t *cfg;

	schema_fill(adapter, module);
	cfg = cfg_init(root, CFGF_KEYSTRVAL);
	if (!cfg)
		return -ENOMEM;
	cfg_set_error_function(cfg, on_error);
	cfg->filename = strdup(r->path);
	current = r;
	if (cfg_parse_fp(cfg, in) == CFG_SUCCESS) {
		if (!r->ended)
			error_at(r, cfg->line, "the file ends in a comment or string");
		result = conf_build(r, cfg, ret);
	}
	current = NULL;
	cfg_free(cfg);
	return result;
}

static int file_read(struct reading *r, struct conf *ret)
{
	struct conf_file file;
	char error[ERROR_SIZE];
	int result = conf_file_open(r->path, END_KEY " = 1", &file, error, sizeof(error));

	if (result < 0) {
		error_at(r, 0, "%s", error);
		return result;
	}
	result = conf_parse(r, file.text, ret);
	conf_file_close(&file);
	return result;
}

int conf_read(const char *path, struct conf *ret, char **reterr_text)
{
	struct reading r = { .path = path };
	struct conf conf = { .adapters = NULL };
	char *text = NULL;
	size_t size;
	int result;

	*reterr_text = NULL;
	r.errors = open_memstream(&text, &size);
	if (!r.errors)
		return -ENOMEM;
	result = file_read(&r, &conf);
	if (fclose(r.errors) != 0 && result == 0)
		result = -ENOMEM;
	free(r.lines);
	if (result < 0) {
		conf_done(&conf);
		*reterr_text = text;
		return result;
	}
	free(text);
	*ret = conf;
	return 0;
}

void conf_done(struct conf *conf)
{
	free(conf->adapters);
	*conf = (struct conf){ .adapters = NULL };
}

const struct adapter_conf *conf_find(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_adapters; i++) {
		if (!strcmp(conf->adapters[i].name, name))
			return &conf->adapters[i];
	}
	return NULL;
}
