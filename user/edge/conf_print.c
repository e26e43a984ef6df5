/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "edge/conf.h"
#include "edge/settings.h"

/* In quotes; what the parser would take for an escape or a variable is escaped. */
static void quoted_print(FILE *out, const char *value)
{
	fputc('"', out);
	for (; *value; value++) {
		if (strchr("\"\\$", *value))
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('"', out);
}

static void module_print(const struct module_conf *m, FILE *out)
{
	fprintf(out, "\tmodule %s {", m->name);
	for (uint32_t i = 0; i < m->n_options; i++) {
		fprintf(out, "%s\t\t%s = ", i ? "" : "\n", m->options[i].key);
		quoted_print(out, m->options[i].value);
		fputc('\n', out);
	}
	fputs(m->n_options ? "\t}\n" : "}\n", out);
}

/* Settings that are as the default are left out, but for those that say what the adapter is. */
static bool is_worth_printing(const struct setting *s, const char *value)
{
	static const char *const always[] = { "lower", "layout", "fail" };
	struct adapter_conf defaults = adapter_conf_default();
	char by_default[SETTING_TEXT_MAX];

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		if (!strcmp(s->key, always[i]))
			return true;
	}
	s->print(s, &defaults, by_default);
	return strcmp(value, by_default) != 0;
}

static void adapter_print(const struct adapter_conf *conf, FILE *out)
{
	const struct setting *settings;
	char value[SETTING_TEXT_MAX];
	size_t n;

	settings = settings_get(&n);
	fputs("adapter ", out);
	quoted_print(out, conf->name);
	fputs(" {\n", out);
	for (size_t i = 0; i < n; i++) {
		const struct setting *s = &settings[i];

		if (!(s->places & SETTING_FILE))
			continue;
		s->print(s, conf, value);
		if (!is_worth_printing(s, value))
			continue;
		fprintf(out, "\t%s = ", s->key);
		quoted_print(out, value);
		fputc('\n', out);
	}
	for (uint32_t i = 0; i < conf->n_modules; i++)
		module_print(&conf->modules[i], out);
	fputs("}\n", out);
}

int conf_print(const struct conf *conf, FILE *out)
{
	for (size_t i = 0; i < conf->n_adapters; i++)
		adapter_print(&conf->adapters[i], out);
	return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
