/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.c - runs seeds, several in a process, and says of each that fails how to run it again.
 *
 *     sim [--seeds A..B] [--seed S] [--actions N] [--lies] [--history] [--jobs N] [-v]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim_world.h"

#define SEEDS_PER_PROCESS 64	/* the pools of dead workers are lost with the process */
#define MOST_FAILURES	10
#define SECONDS_PER_SEED 60
#define TWICE_EVERY	32	/* so many seeds are run twice: the same seed is the same history */
#define MAX_JOBS	16

struct plan {
	uint64_t first, end;
	uint32_t n_jobs;
	struct sim_options options;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- a process ---- */

static void run_seed(struct sim_world *w, uint64_t seed)
{
	uint64_t history;

	w->progress->seed = seed;
	w->progress->action = 0;
	alarm(SECONDS_PER_SEED);
	history = sim_world_run(w, seed);
	if (seed % TWICE_EVERY == 0 && !w->options.history && sim_world_run(w, seed) != history)
		sim_broke(w, 7, "the same seed has another history");
	if (w->options.verbose)
		printf("seed %#llx: %llu actions, %u deaths, history %016llx\n",
		       (unsigned long long)seed, (unsigned long long)w->action, w->lives,
		       (unsigned long long)history);
}

static pid_t start(const struct plan *plan, struct sim_progress *progress, uint64_t first,
		   uint64_t end)
{
	static struct sim_world w;
	pid_t child;

	progress->seed = first;
	progress->invariant = 0;
	fflush(stdout);
	child = fork();
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sim_world_init(&w, &plan->options, progress);
	for (uint64_t seed = first; seed < end; seed++)
		run_seed(&w, seed);
	fflush(stdout);
	_exit(0);
}

/* ---- judging ---- */

static void report(const struct plan *plan, const struct sim_progress *p, int status)
{
	printf("seed %#llx action %llu: ", (unsigned long long)p->seed,
	       (unsigned long long)p->action);
	if (p->invariant)
		printf("invariant %d: %s\n", p->invariant, p->what);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("did not end in %d s\n", SECONDS_PER_SEED);
	else if (WIFSIGNALED(status))
		printf("ended by SIG%s\n", sigabbrev_np(WTERMSIG(status)));
	else
		printf("ended with status %d\n", WEXITSTATUS(status));
	printf("    to run it again: %s --seed %#llx --actions %u%s --history\n",
	       program_invocation_name, (unsigned long long)p->seed, plan->options.n_actions,
	       plan->options.lies ? " --lies" : "");
}

struct job {
	pid_t pid;			/* 0 = free */
	uint64_t end;
	struct sim_progress *progress;
};

/* Starts what is left to do in free places. Returns how many processes run. */
static uint32_t start_jobs(const struct plan *plan, struct job *jobs, uint64_t *next)
{
	uint32_t n_running = 0;

	for (uint32_t i = 0; i < plan->n_jobs; i++) {
		struct job *j = &jobs[i];

		if (!j->pid && *next < plan->end) {
			j->end = *next + SEEDS_PER_PROCESS < plan->end ? *next + SEEDS_PER_PROCESS
								       : plan->end;
			j->pid = start(plan, j->progress, *next, j->end);
			*next = j->end;
		}
		n_running += j->pid > 0;
	}
	return n_running;
}

/* Waits for one process. Returns 1 if it failed; what it left undone goes on in another. */
static uint32_t reap(const struct plan *plan, struct job *jobs)
{
	int status;
	pid_t pid = wait(&status);

	for (uint32_t i = 0; i < plan->n_jobs; i++) {
		struct job *j = &jobs[i];

		if (j->pid != pid)
			continue;
		j->pid = 0;
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			return 0;
		report(plan, j->progress, status);
		if (j->progress->seed + 1 < j->end)
			j->pid = start(plan, j->progress, j->progress->seed + 1, j->end);
		return 1;
	}
	return 0;
}

static void sum_up(const struct plan *plan, const struct job *jobs, uint32_t n_failed, uint64_t ms)
{
	struct sim_progress sum = { 0 };

	for (uint32_t i = 0; i < plan->n_jobs; i++) {
		const struct sim_progress *p = jobs[i].progress;

		sum.n_actions += p->n_actions;
		sum.n_seeds += p->n_seeds;
		sum.n_deaths += p->n_deaths;
		sum.n_delivered += p->n_delivered;
		sum.n_sent += p->n_sent;
		sum.n_lies += p->n_lies;
		sum.n_violations += p->n_violations;
		for (int a = 0; a < CHAOS_N_ACTIONS; a++)
			sum.acts[a] += p->acts[a];
	}
	printf("%llu runs of seeds, %llu actions in %.1f s (%.0f/s): %llu packets received, %llu "
	       "sent, %llu deaths, %llu lies, %llu of them counted as violations\n",
	       (unsigned long long)sum.n_seeds, (unsigned long long)sum.n_actions,
	       (double)ms / 1000, (double)sum.n_actions * 1000 / (double)(ms + 1),
	       (unsigned long long)sum.n_delivered, (unsigned long long)sum.n_sent,
	       (unsigned long long)sum.n_deaths, (unsigned long long)sum.n_lies,
	       (unsigned long long)sum.n_violations);
	for (int a = 0;
	     a < CHAOS_N_ACTIONS && (plan->options.verbose || plan->end - plan->first > 1); a++)
		printf("%s%s %llu", a ? ", " : "    ", chaos_action_name((enum chaos_action)a),
		       (unsigned long long)sum.acts[a]);
	printf("\n%u failed\n", n_failed);
}

static uint32_t run_all(const struct plan *plan)
{
	struct job jobs[MAX_JOBS] = { 0 };
	uint64_t next = plan->first, began = now_ms();
	uint32_t n_failed = 0;

	for (uint32_t i = 0; i < plan->n_jobs; i++) {
		jobs[i].progress = mmap(NULL, sizeof(struct sim_progress), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (jobs[i].progress == MAP_FAILED) {
			perror("mmap");
			exit(2);
		}
	}
	while (n_failed < MOST_FAILURES && start_jobs(plan, jobs, &next))
		n_failed += reap(plan, jobs);
	for (uint32_t i = 0; i < plan->n_jobs; i++)
		if (jobs[i].pid) {
			kill(jobs[i].pid, SIGKILL);
			waitpid(jobs[i].pid, NULL, 0);
		}
	sum_up(plan, jobs, n_failed, now_ms() - began);
	return n_failed;
}

/* ---- options ---- */

static void usage(void)
{
	fprintf(stderr, "usage: %s [--seeds A..B] [--seed S] [--actions N] [--lies] [--history] "
		"[--jobs N] [-v]\n", program_invocation_name);
	exit(2);
}

static void parse(int argc, char **argv, struct plan *plan)
{
	char *end;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--lies")) {
			plan->options.lies = true;
			continue;
		}
		if (!strcmp(argv[i], "--history")) {
			plan->options.history = true;
			continue;
		}
		if (!strcmp(argv[i], "-v")) {
			plan->options.verbose = true;
			continue;
		}
		if (!*value)
			usage();
		i++;
		if (!strcmp(argv[i - 1], "--seed")) {
			plan->first = strtoull(value, NULL, 0);
			plan->end = plan->first + 1;
		} else if (!strcmp(argv[i - 1], "--seeds")) {
			plan->first = strtoull(value, &end, 0);
			if (strncmp(end, "..", 2))
				usage();
			plan->end = strtoull(end + 2, NULL, 0) + 1;
		} else if (!strcmp(argv[i - 1], "--actions")) {
			plan->options.n_actions = (uint32_t)strtoul(value, NULL, 0);
		} else if (!strcmp(argv[i - 1], "--jobs")) {
			plan->n_jobs = (uint32_t)strtoul(value, NULL, 0);
		} else {
			usage();
		}
	}
	if (plan->first >= plan->end || !plan->n_jobs || plan->n_jobs > MAX_JOBS)
		usage();
}

int main(int argc, char **argv)
{
	struct plan plan = { .first = 1, .end = 301, .n_jobs = 2, .options.n_actions = 1000 };

	parse(argc, argv, &plan);
	return run_all(&plan) ? 1 : 0;
}
