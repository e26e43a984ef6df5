/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/handover.h"

#define NOBODY 65534

/* The worker beside this program's own file, as in a build tree, or where it was installed. */
static int find_program(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("nbld-worker"));
	char *slash;
	int fd;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash) {
			memcpy(slash + 1, "nbld-worker", sizeof("nbld-worker"));
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd >= 0)
				return fd;
		}
	}
	fd = open(NBL_WORKER_PATH, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * The worker of this keeper's own build: opened once, because a newer one that is
 * installed meanwhile need not understand what is handed over.
 */
static int open_program(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = find_program();
	return fd;
}

/*
 * A network namespace with nothing in it, made once: making one takes long, and a
 * successor is in a hurry. -1 where we may not; the worker then makes its own.
 */
static int empty_netns(void)
{
	static int fd = -2;
	int ours;

	if (fd != -2)
		return fd;
	fd = -1;
	ours = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ours >= 0 && !unshare(CLONE_NEWNET)) {
		fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		if (setns(ours, CLONE_NEWNET) < 0)
			abort();	/* anything done from here would hit the wrong interfaces */
	}
	if (ours >= 0)
		close(ours);
	return fd;
}

static void become_nobody(int netns)
{
	bool apart = netns >= 0 && !setns(netns, CLONE_NEWNET);

	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(126);
	/*
	 * Best effort where the keeper itself may not: the
	 * worker opens no socket anyway (sandbox.c).
	 */
	if (!apart && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		apart = false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(126);
}

__attribute__((noreturn)) static void run_child(int program, int socket, int netns)
{
	char *argv[] = { (char []){ "nbld-worker" }, NULL };
	char *envp[] = { NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	become_nobody(netns);
	/* The program may itself be on HANDOVER_FD: move it first. */
	program = fcntl(program, F_DUPFD_CLOEXEC, HANDOVER_FD + 1);
	if (program < 0 || dup2(socket, HANDOVER_FD) < 0)
		_exit(126);
	/*
	 * Not all descriptors of libraries close by themselves: another
	 * adapter's sockets would stay open here.
	 */
	close_range(HANDOVER_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

static int start(int program, struct spawned *s)
{
	int netns = empty_netns();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* Our end only: a worker that reads no more must not keep us waiting. */
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	s->pid = fork();
	if (s->pid < 0) {
		int r = -errno;

		close(pair[0]);
		close(pair[1]);
		s->pid = 0;
		return r;
	}
	if (!s->pid)
		run_child(program, fcntl(pair[1], F_DUPFD_CLOEXEC, HANDOVER_FD + 1), netns);
	close(pair[1]);
	s->socket = pair[0];
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd < 0) {
		int r = -errno;

		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		close(s->socket);
		*s = (struct spawned){ .pid = 0 };
		return r;
	}
	return 0;
}

int spawn_worker(struct spawned *ret, char *why, size_t why_size)
{
	int program = open_program();
	int r;

	if (program < 0) {
		snprintf(why, why_size, "no worker program (%s): neither beside nbld nor as %s. "
			 "Try: make install", strerrorname_np(-program), NBL_WORKER_PATH);
		return program;
	}
	r = start(program, ret);
	if (r < 0)
		snprintf(why, why_size, "no worker process (%s)", strerrorname_np(-r));
	return r;
}
