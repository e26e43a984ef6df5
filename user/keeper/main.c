/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nbld - the keeper: reads the configuration, holds the adapters, takes commands.
 *
 * Privileged and small; never touches packet bytes. Runs in the foreground.
 */
#include <cap-ng.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "edge/conf.h"
#include "edge/control.h"
#include "edge/log.h"
#include "keeper/adapter.h"
#include "keeper/apply.h"
#include "keeper/instance.h"
#include "keeper/options.h"
#include "keeper/report.h"
#include "keeper/server.h"

#define STATUS_PERIOD_US 5000000	/* the line systemctl status shows */
#define STATUS_SLACK_US	 1000000

struct program {
	struct keeper keeper;
	const struct options *options;
	struct conf conf;		/* the file last applied */
	struct instance instance;
	struct server *server;
	char state_path[PATH_MAX];
	char status[256];		/* as last told to systemd */
};

/* ---- configuration ---- */

/*
 * Reads the file (fills ret); a default file that is absent says: no adapters. 0 or
 * negative errno with the text.
 */
static int conf_load(const struct options *o, struct conf *ret, char **reterr_text)
{
	int r = conf_read(o->conf_path, ret, reterr_text);

	if (r == -ENOENT && !o->conf_given) {
		free(*reterr_text);
		*ret = (struct conf){ .adapters = NULL };
		return 0;
	}
	return r;
}

/* Logs each line of 'text' (takes), however many there are. */
static void log_lines(char *text)
{
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		struct log_site once = { .n_lines = 0 };

		if (*line)
			log_write(&once, LOG_ERR, "%s", line);
	}
	free(text);
}

static int conf_check(const struct options *o)
{
	struct conf conf;
	char *text;

	if (conf_load(o, &conf, &text) < 0) {
		fputs(text ? text : "nbld: out of memory\n", stderr);
		free(text);
		return EXIT_BAD_CONF;
	}
	printf("%s: no errors, %zu adapter%s\n", o->conf_path, conf.n_adapters,
	       conf.n_adapters == 1 ? "" : "s");
	conf_done(&conf);
	return EXIT_SUCCESS;
}

/* ---- rights ---- */

/*
 * Names in 'dst' (fills) what this process may not do and would have to. True if there
 * is nothing.
 */
static bool rights_check(char *dst, size_t size)
{
	static const struct { unsigned int capability, instead; const char *name; } needed[] = {
		{ CAP_NET_ADMIN, CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		{ CAP_NET_RAW, CAP_NET_RAW, "CAP_NET_RAW" },
		{ CAP_BPF, CAP_SYS_ADMIN, "CAP_BPF" },
		{ CAP_PERFMON, CAP_SYS_ADMIN, "CAP_PERFMON" },	/* packet pointers */
	};
	size_t used = 0;

	*dst = '\0';
	capng_get_caps_process();
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability) ||
		    capng_have_capability(CAPNG_EFFECTIVE, needed[i].instead))
			continue;
		used += (size_t)snprintf(dst + used, size - used, "%s%s", used ? ", " : "",
					 needed[i].name);
	}
	return used == 0;
}

/* ---- what systemd is told ---- */

static void status_print(const struct keeper *keeper, char *dst, size_t size)
{
	static struct adapter_snapshot s;	/* large; there is one thread */
	size_t used;

	used = (size_t)snprintf(dst, size, "%s", keeper->adapters ? "" : "no adapters");
	for (struct adapter *a = keeper->adapters; a && used < size; a = adapter_next(a)) {
		adapter_snapshot(a, &s);
		used += (size_t)snprintf(dst + used, size - used, "%s%s %s%s%s%s", used ? ", " : "",
					 s.name, report_state_name(s.state), s.bypass ? " (" : "",
					 s.bypass ? s.bypass : "", s.bypass ? ")" : "");
	}
}

static void status_notify(struct program *p)
{
	char status[sizeof(p->status)];

	status_print(&p->keeper, status, sizeof(status));
	if (!strcmp(status, p->status))
		return;
	strcpy(p->status, status);
	sd_notifyf(0, "STATUS=%s", status);
}

static int on_status_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)usec;
	status_notify(userdata);
	sd_event_source_set_time_relative(source, STATUS_PERIOD_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- signals ---- */

static void detach_all(struct keeper *keeper)
{
	while (keeper->adapters)
		adapter_detach(keeper->adapters);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct program *p = userdata;

	log_notice("nbld: stopping on signal %u", info->ssi_signo);
	p->keeper.stopping = true;
	sd_notify(0, "STOPPING=1");
	detach_all(&p->keeper);
	return sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct program *p = userdata;
	unsigned int n_failed;
	struct conf wanted;
	char *text;

	(void)source;
	(void)info;
	log_notice("nbld: reading %s again", p->options->conf_path);
	if (conf_load(p->options, &wanted, &text) < 0) {
		log_lines(text);
		log_error("nbld: the configuration is wrong: nothing was changed");
		return 0;
	}
	sd_notify(0, "RELOADING=1");
	n_failed = conf_apply(&p->keeper, &p->conf, &wanted);
	conf_done(&p->conf);
	p->conf = wanted;
	if (n_failed)
		log_error("nbld: %u of %zu adapters are not as configured", n_failed,
			  wanted.n_adapters);
	sd_notify(0, "READY=1");
	status_notify(p);
	return 0;
}

/* Blocks them, for sd-event and for the children's exits that adapters watch. */
static int signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int events_add(struct program *p)
{
	sd_event *event = p->keeper.event;
	int r;

	r = signals_block();
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, on_stop, p);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, on_stop, p);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, p);
	if (r >= 0)
		r = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, STATUS_PERIOD_US,
					       STATUS_SLACK_US, on_status_time, p);
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	return r;
}

/* ---- from start to end ---- */

static int program_listen(struct program *p)
{
	char error[512];
	int fd;

	if (instance_open(&p->instance, p->options->socket_path, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return -EADDRINUSE;
	}
	snprintf(p->state_path, sizeof(p->state_path), "%s.state", p->options->socket_path);
	p->keeper.state_path = p->state_path;
	fd = p->instance.listen_fd;
	p->instance.listen_fd = -1;
	return server_new(&p->keeper, fd, p->instance.gid, &p->server);
}

static int program_run(struct program *p)
{
	struct conf nothing = { .adapters = NULL };
	unsigned int n_failed;

	if (program_listen(p) < 0)
		return EXIT_FAILURE;
	keeper_restore_leftovers(&p->keeper);
	n_failed = conf_apply(&p->keeper, &nothing, &p->conf);
	if (n_failed)
		log_error("nbld: %u of %zu adapters could not be attached", n_failed,
			  p->conf.n_adapters);
	log_info("nbld: version %s is ready on %s", NBL_VERSION, p->options->socket_path);
	status_notify(p);
	sd_notify(0, "READY=1");
	return sd_event_loop(p->keeper.event);
}

static int program_main(struct program *p)
{
	int r = sd_event_new(&p->keeper.event);

	if (r >= 0)
		r = events_add(p);
	if (r < 0) {
		log_error("nbld: no event loop (%s)", strerrorname_np(-r));
		return EXIT_FAILURE;
	}
	r = program_run(p);
	detach_all(&p->keeper);
	server_free(p->server);
	instance_close(&p->instance);
	sd_event_unref(p->keeper.event);
	if (r < 0) {
		log_error("nbld: the event loop broke (%s)", strerrorname_np(-r));
		return EXIT_FAILURE;
	}
	return r;
}

int main(int argc, char **argv)
{
	struct options options = { .conf_path = CONF_PATH, .socket_path = CONTROL_PATH };
	static struct program program;
	char missing[128], *text;
	int r;

	r = options_parse(argc, argv, &options);
	if (r >= 0)
		return r;
	if (options.check)
		return conf_check(&options);
	if (conf_load(&options, &program.conf, &text) < 0) {
		log_lines(text);
		return EXIT_BAD_CONF;
	}
	if (!rights_check(missing, sizeof(missing))) {
		log_error("nbld: may not attach to interfaces (EPERM): it lacks %s. "
			  "Try: systemctl start nbld, or run it as root", missing);
		conf_done(&program.conf);
		return EXIT_NO_RIGHTS;
	}
	program.options = &options;
	r = program_main(&program);
	conf_done(&program.conf);
	return r;
}
