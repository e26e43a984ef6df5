/* SPDX-License-Identifier: BSD-2-Clause */
#include "keeper/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

static int fail(char *error, size_t error_size, const char *path, const char *what, int code)
{
	snprintf(error, error_size, "%s: %s (%s): %s", path, what, strerrorname_np(code),
		 strerrordesc_np(code));
	return -code;
}

static int folder_make(const char *path, char *error, size_t error_size)
{
	char copy[PATH_MAX];
	const char *folder;

	snprintf(copy, sizeof(copy), "%s", path);
	folder = dirname(copy);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return fail(error, error_size, folder, "cannot be made", errno);
	return 0;
}

static int fail_running(char *error, size_t error_size, const char *path, long pid)
{
	snprintf(error, error_size,
		 "%s: another nbld, process %ld, is running (EADDRINUSE). "
		 "Try: systemctl stop nbld, or -S with another socket",
		 path, pid);
	return -EADDRINUSE;
}

static long lock_owner(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return atol(text);
}

/* The lock file stays for ever: removing it would let two keepers lock two files. */
static int lock_take(struct instance *in, char *error, size_t error_size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s.lock", in->path);
	in->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (in->lock_fd < 0)
		return fail(error, error_size, path, "cannot be opened", errno);
	if (flock(in->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return fail_running(error, error_size, in->path, lock_owner(in->lock_fd));
	if (ftruncate(in->lock_fd, 0) < 0 || dprintf(in->lock_fd, "%d\n", getpid()) < 0)
		return fail(error, error_size, path, "cannot be written", errno);
	return 0;
}

/* Process id of who listens at 'address', 0 if nobody does. */
static long listener(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = { .pid = 0 };
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	else if (errno == EAGAIN)	/* it does, and is busy */
		peer.pid = -1;
	close(fd);
	return peer.pid;
}

/* A socket of nobody's is removed; anything else in its place is not ours to remove. */
static int stale_remove(const struct sockaddr_un *address, char *error, size_t error_size)
{
	struct stat st;
	long pid;

	if (lstat(address->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return fail(error, error_size, address->sun_path, "is there and is no socket",
			    EEXIST);
	pid = listener(address);
	if (pid)
		return fail_running(error, error_size, address->sun_path, pid);
	unlink(address->sun_path);
	return 0;
}

/* Mode 0660 from the first moment; the group's rights begin when it is given to the group. */
static int socket_bind(int fd, const struct sockaddr_un *address)
{
	mode_t old = umask(0117);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address));
	int error = errno;

	umask(old);
	return r < 0 ? -error : 0;
}

static void socket_give_to_group(struct instance *in)
{
	const struct group *group = getgrnam(INSTANCE_GROUP);
	struct stat st;

	if (group && chown(in->path, (uid_t)-1, group->gr_gid) < 0)
		errno = 0;	/* then it stays root's, which is safe */
	in->gid = stat(in->path, &st) == 0 ? st.st_gid : getegid();
}

static int socket_listen(struct instance *in, char *error, size_t error_size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int r;

	strcpy(address.sun_path, in->path);
	r = stale_remove(&address, error, error_size);
	if (r < 0)
		return r;
	in->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (in->listen_fd < 0)
		return fail(error, error_size, in->path, "no socket", errno);
	r = socket_bind(in->listen_fd, &address);
	if (r < 0)
		return fail(error, error_size, in->path, "cannot be bound", -r);
	socket_give_to_group(in);
	if (listen(in->listen_fd, BACKLOG) < 0)
		return fail(error, error_size, in->path, "cannot be listened on", errno);
	return 0;
}

int instance_open(struct instance *in, const char *path, char *error, size_t error_size)
{
	int r;

	*in = (struct instance){ .lock_fd = -1, .listen_fd = -1 };
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return fail(error, error_size, path, "is no name for a socket", ENAMETOOLONG);
	in->path = path;
	r = folder_make(path, error, error_size);
	if (r == 0)
		r = lock_take(in, error, error_size);
	if (r == 0)
		r = socket_listen(in, error, error_size);
	if (r < 0) {
		if (in->listen_fd >= 0)
			close(in->listen_fd);
		if (in->lock_fd >= 0)
			close(in->lock_fd);
		in->path = NULL;
	}
	return r;
}

void instance_close(struct instance *in)
{
	if (!in->path)
		return;
	unlink(in->path);
	if (in->listen_fd >= 0)
		close(in->listen_fd);
	close(in->lock_fd);
	in->path = NULL;
}
