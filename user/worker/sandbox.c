/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>

/* What a running worker calls, and why. */
static const int allowed[] = {
	SCMP_SYS(sendto),		/* kick TX */
	SCMP_SYS(recvfrom),		/* wake FILL */
	SCMP_SYS(ppoll),		/* sleep */
	SCMP_SYS(restart_syscall),	/* and go on sleeping after a stop */
	SCMP_SYS(poll),
	SCMP_SYS(futex),		/* park and unpark */
	/* eventfd, the tap's device, last words on stderr */
	SCMP_SYS(read), SCMP_SYS(write),
	SCMP_SYS(writev),		/* the tap's device */
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),	/* the keeper */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(brk), SCMP_SYS(madvise),	/* malloc */
	SCMP_SYS(close),
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
};

int sandbox_enter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = 0;

	if (!ctx)
		return -ENOMEM;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; !r && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
