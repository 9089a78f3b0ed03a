/* The forked child of a capture. */
#ifndef MEMLENS_CAPTURE_CHILD_H
#define MEMLENS_CAPTURE_CHILD_H

#include "capture/store.h"
#include "io/container.h"

#include <signal.h>
#include <sys/types.h>

enum { MOST_MORE = 16 };

/* What the child reports through its pipe: records of this form, each in one write. */
typedef struct {
    uint64_t stage;
    uint64_t objects, edges;   /* found so far */
    uint64_t bytes;            /* of the file, written so far */
    uint64_t nanoseconds;      /* since the fork */
    uint64_t error;            /* errno, of a failure */
} Progress;

typedef struct {
    int file_fd, progress_fd, facts_fd;
    pid_t parent;
    uint64_t started; /* nanoseconds */
    Progress progress;
    Capture capture;
    Buffer sections[SECTION_COUNT];
    Buffer facts, dominator, retained, largest;
    ContainerWriter writer;
    ContainerSection more[MOST_MORE]; /* borrowed from the caller */
    size_t more_count;
} Child;

/* Capture into the file and end the process; `signals` is the signal mask to restore. To be
 * called right after the fork. Until _exit the child takes no lock, calls no allocator (except
 * for values: see fork_for in fork.c), never enters the evaluation loop and runs no signal
 * handler. */
_Noreturn void run_child(Child *child, const sigset_t *signals);

uint64_t now_nanoseconds(void);

#endif
