/* SPDX-License-Identifier: BSD-2-Clause */
#include "edge/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int trust_check(const char *path, int fd, char *error, size_t error_size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return 0;	/* /dev/null: the usual way to say "no configuration" */
	if (!S_ISREG(st.st_mode)) {
		snprintf(error, error_size, "not a regular file");
		return -EINVAL;
	}
	if (st.st_mode & S_IWOTH) {
		snprintf(error, error_size, "others may write it (mode %04o). Try: chmod o-w %s",
			 st.st_mode & 07777, path);
		return -EPERM;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		snprintf(error, error_size, "belongs to user %u, not to root. Try: chown root %s",
			 st.st_uid, path);
		return -EPERM;
	}
	return 0;
}

/* Fills file->bytes. Returns their number, or negative errno. */
static ssize_t bytes_read(int fd, const char *mark, struct conf_file *file)
{
	char block[4096], last = '\n';
	size_t size;
	ssize_t n;
	FILE *copy = open_memstream(&file->bytes, &size);

	if (!copy)
		return -errno;
	while ((n = read(fd, block, sizeof(block))) > 0) {
		fwrite(block, 1, (size_t)n, copy);
		last = block[n - 1];
	}
	if (n < 0)
		n = -errno;
	fprintf(copy, "%s%s", last == '\n' ? "" : "\n", mark);
	if (fclose(copy) != 0)
		n = -ENOMEM;
	return n < 0 ? n : (ssize_t)size;
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

/* The end of the quoted text that begins at 's'; the end of 's' if it has none. */
static char *quoted_end(char *s)
{
	char quote = *s++;

	for (; *s && *s != quote; s++)
		if (*s == '\\' && s[1])
			s++;
	return *s ? s + 1 : s;
}

/* The end of the comment that begins at 's', or NULL if none does; "//" in a word is none. */
static char *comment_end(const char *text, char *s)
{
	bool begins_word = s == text || strchr(" \t\n{}=,", s[-1]);
	char *end;

	if (*s == '#' || (s[0] == '/' && s[1] == '/' && begins_word))
		return s + strcspn(s, "\n");
	if (s[0] != '/' || s[1] != '*' || !begins_word)
		return NULL;
	end = strstr(s + 2, "*/");
	return end ? end + 2 : NULL;	/* open to the end of the file: the parser's to tell */
}

/*
 * Comments become blanks: libconfuse 3.3 counts their lines
 * twice, and errors would name wrong ones.
 */
static void comments_blank(char *text)
{
	for (char *s = text; *s;) {
		char *end = comment_end(text, s);

		if (end) {
			blank(s, end);
			s = end;
		} else if (*s == '"' || *s == '\'') {
			s = quoted_end(s);
		} else {
			s++;
		}
	}
}

static int text_open(int fd, const char *mark, struct conf_file *file)
{
	ssize_t size = bytes_read(fd, mark, file);

	if (size >= 0)
		comments_blank(file->bytes);
	if (size >= 0)
		file->text = fmemopen(file->bytes, (size_t)size, "r");
	if (file->text)
		return 0;
	free(file->bytes);
	return size < 0 ? (int)size : -ENOMEM;
}

int conf_file_open(const char *path, const char *mark, struct conf_file *ret, char *error,
		   size_t error_size)
{
	struct conf_file file = { .bytes = NULL };
	/* not to wait for the other end of a pipe */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno : 0;

	*error = '\0';
	if (r == 0)
		r = trust_check(path, fd, error, error_size);
	if (r == 0)
		r = text_open(fd, mark, &file);
	if (fd >= 0)
		close(fd);
	if (r == 0)
		*ret = file;
	else if (!*error)
		snprintf(error, error_size, "cannot be read (%s): %s", strerrorname_np(-r),
			 strerrordesc_np(-r));
	return r;
}

void conf_file_close(struct conf_file *file)
{
	fclose(file->text);
	free(file->bytes);
}
