/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/module_conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "edge/text.h"

int module_conf_init(struct module_conf *m, const char *name, char *error, size_t error_size)
{
	if (!text_is_key(name) || strlen(name) >= sizeof(m->name)) {
		snprintf(error, error_size, "\"%.64s\" is not a module name", name);
		return -EINVAL;
	}
	memset(m, 0, sizeof(*m));
	memcpy(m->name, name, strlen(name));
	return 0;
}

int module_conf_add_option(struct module_conf *m, const char *key, const char *value, char *error,
			   size_t error_size)
{
	struct module_option *option;

	if (!text_is_key(key) || strlen(key) >= sizeof(option->key)) {
		snprintf(error, error_size, "module %s: \"%.64s\" is not an option's name",
			 m->name, key);
		return -EINVAL;
	}
	if (!text_is_clean(value) || strlen(value) >= sizeof(option->value)) {
		snprintf(error, error_size,
			 "module %s: the value of %s has control characters, is no UTF-8, "
			 "or is longer than %zu bytes",
			 m->name, key, sizeof(option->value) - 1);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < m->n_options; i++) {
		if (!strcmp(m->options[i].key, key)) {
			snprintf(error, error_size, "module %s: %s is given twice", m->name, key);
			return -EINVAL;
		}
	}
	if (m->n_options == ADAPTER_MAX_OPTIONS) {
		snprintf(error, error_size, "module %s: more than %d options", m->name,
			 ADAPTER_MAX_OPTIONS);
		return -EINVAL;
	}
	option = &m->options[m->n_options++];
	strcpy(option->key, key);
	strcpy(option->value, value);
	return 0;
}

int adapter_conf_add_module(struct adapter_conf *conf, const struct module_conf *m, char *error,
			    size_t error_size)
{
	for (uint32_t i = 0; i < conf->n_modules; i++) {
		if (!strcmp(conf->modules[i].name, m->name)) {
			snprintf(error, error_size, "module %s is in the stack twice", m->name);
			return -EINVAL;
		}
	}
	if (conf->n_modules == ADAPTER_MAX_MODULES) {
		snprintf(error, error_size, "more than %d modules", ADAPTER_MAX_MODULES);
		return -EINVAL;
	}
	conf->modules[conf->n_modules++] = *m;
	return 0;
}
