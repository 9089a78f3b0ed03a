/* Making the forked child a process of its own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* syscall */
#endif
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/separation.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void
forget_signal_handlers(void)
{
    struct sigaction action;
    for (int number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN
            && action.sa_handler != SIG_DFL) {
            memset(&action, 0, sizeof action);
            action.sa_handler = SIG_DFL;
            sigaction(number, &action, NULL);
        }
    }
    signal(SIGPIPE, SIG_IGN);
}

static void
close_range_of(int first, int last)
{
    if (first > last) {
        return;
    }
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0u) == 0) {
        return;
    }
#endif
    struct rlimit limit;
    int most = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536 ? (int)limit.rlim_cur
                                                                               : 65536;
    for (int fd = first; fd <= last && fd < most; fd++) {
        close(fd);
    }
}

void
close_other_files(int first, int second, int third)
{
    int kept[3] = {first, second, third};
    for (int i = 0; i < 3; i++) {
        for (int j = i + 1; j < 3; j++) {
            if (kept[j] < kept[i]) {
                int swapped = kept[i];
                kept[i] = kept[j];
                kept[j] = swapped;
            }
        }
    }
    int next = 0;
    for (int i = 0; i < 3; i++) {
        close_range_of(next, kept[i] - 1);
        next = kept[i] + 1;
    }
    close_range_of(next, INT_MAX);
}

/* A process may be near its soft limit when it forks; the child may use what the hard one allows. */
static void
use_hard_limit(int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur != limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(resource, &limit);
    }
}

void
stand_back(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* the parent reports a crash of the child */
    use_hard_limit(RLIMIT_AS);
    use_hard_limit(RLIMIT_DATA);
#ifdef __linux__
    /* When memory runs out, the kernel kills the snapshot first, not the service. */
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = write(fd, "1000", 4);
        (void)ignored;
        close(fd);
    }
#endif
}

#endif
