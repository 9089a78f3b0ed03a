/* The forked child: it captures the heap, computes dominators and writes the file.
 *
 * The child has a copy of the heap and only the thread that forked. A lock that another thread
 * held at the fork is never released, so the child takes no locks. What needs Python is prepared
 * before the fork (facts.c). The child writes only to the file and to the pipe for its progress. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* _Fork, syscall */
#endif
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/child.h"
#include "capture/measuring.h"
#include "capture/run.h"
#include "capture/sections.h"
#include "capture/separation.h"
#include "graph/dominators.h"
#include "graph/ranking.h"
#include "graph/tree.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { STAGE_WALK = 1, STAGE_DOMINATORS = 2, STAGE_WRITE = 3, STAGE_DONE = 4, STAGE_FAILED = 5 };
_Static_assert(sizeof(Progress) == 48, "one write to a pipe, never torn");

uint64_t
now_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void
tell(Child *child, int stage)
{
    child->progress.stage = (uint64_t)stage;
    child->progress.nanoseconds = now_nanoseconds() - child->started;
    /* A closed or full pipe is no reason to stop. */
    ssize_t ignored = write(child->progress_fd, &child->progress, sizeof child->progress);
    (void)ignored;
}

_Noreturn static void
give_up(Child *child, int error)
{
    child->progress.error = (uint64_t)error;
    tell(child, STAGE_FAILED);
    _exit(1);
}

static void
on_progress(Capture *capture)
{
    Child *child = capture->listener;
    child->progress.objects = capture->node_count;
    child->progress.edges = COUNT(capture->edge_target, uint32_t);
    if (getppid() != child->parent) {
        _exit(2); /* the parent has gone */
    }
    tell(child, STAGE_WALK);
}

/* ---- facts: u32 length, then JSON, sent by the parent right after the fork -------------------- */

enum { FACTS_WAIT_MILLISECONDS = 30000, MOST_FACTS_BYTES = 1 << 24 };

static void
read_exactly(Child *child, void *data, size_t bytes)
{
    char *at = data;
    while (bytes > 0) {
        struct pollfd ready = {child->facts_fd, POLLIN, 0};
        int count = poll(&ready, 1, FACTS_WAIT_MILLISECONDS);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        ssize_t done = count > 0 ? read(child->facts_fd, at, bytes) : 0;
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            give_up(child, done < 0 ? errno : EPIPE);
        }
        at += done;
        bytes -= (size_t)done;
    }
}

static void
read_facts(Child *child)
{
    uint32_t length;
    read_exactly(child, &length, sizeof length);
    if (length > MOST_FACTS_BYTES || buffer_zeros(&child->facts, length) < 0) {
        give_up(child, length > MOST_FACTS_BYTES ? EINVAL : ENOMEM);
    }
    read_exactly(child, child->facts.data, length);
}

/* ---- the work -------------------------------------------------------------------------------- */

static void
write_section(Child *child, const ContainerSection *section)
{
    if (container_add(&child->writer, section) < 0) {
        give_up(child, errno);
    }
    child->progress.bytes = child->writer.position;
}

static void
write_column(Child *child, const char *name, char typecode, const Buffer *column)
{
    ContainerSection section = {name, typecode, column->data, column->size};
    write_section(child, &section);
}

static int
is_analysed(int section)
{
    return section == NODE_SIZE || section == NODE_FLAGS || section == EDGE_OFFSET
           || section == EDGE_TARGET || section == EDGE_LABEL;
}

/* Write what was captured, and free what the analysis does not need. */
static void
write_captured(Child *child)
{
    if (container_begin(&child->writer, child->file_fd, SECTION_COUNT + 4 + child->more_count) < 0) {
        give_up(child, errno);
    }
    child->progress.bytes = child->writer.position;
    for (int i = 0; i < SECTION_COUNT; i++) {
        write_column(child, section_names[i].name, section_names[i].typecode, &child->sections[i]);
        if (!is_analysed(i)) {
            buffer_free(&child->sections[i]);
        }
    }
}

/* The sizes are written: they become the retained sizes in place. */
static void
analyse(Child *child)
{
    Graph graph = sections_graph(child->sections);
    if (buffer_zeros(&child->dominator, graph.node_count * sizeof(uint32_t)) < 0
        || find_dominators(&graph, ITEMS(child->dominator, uint32_t),
                           ITEMS(child->sections[NODE_SIZE], uint64_t))
               < 0) {
        give_up(child, ENOMEM);
    }
    child->retained = child->sections[NODE_SIZE];
    child->sections[NODE_SIZE] = (Buffer){NULL, 0, 0};
    for (int i = EDGE_OFFSET; i <= EDGE_LABEL; i++) {
        buffer_free(&child->sections[i]);
    }
}

/* Leave memlens's own objects out of what those of the program retain, and list the objects that
 * retain the most, without garbage. The flags are written: they are changed in place. */
static void
rank(Child *child)
{
    Tree tree = tree_of(ITEMS(child->dominator, uint32_t),
                        (uint32_t)COUNT(child->dominator, uint32_t));
    uint16_t *flags = ITEMS(child->sections[NODE_FLAGS], uint16_t);
    if (buffer_zeros(&child->largest, LARGEST_STORED * sizeof(uint32_t)) < 0
        || tree_spread_flags(&tree, flags, FLAG_OWN) < 0
        || tree_leave_out(&tree, flags, FLAG_OWN, ITEMS(child->retained, uint64_t)) < 0) {
        give_up(child, ENOMEM);
    }
    child->largest.size = sizeof(uint32_t)
                          * rank_largest(ITEMS(child->retained, uint64_t), flags, tree.count,
                                         FLAG_OWN | FLAG_GARBAGE,
                                         ITEMS(child->largest, uint32_t), LARGEST_STORED);
}

static void
write_computed(Child *child)
{
    write_column(child, "node_dominator", 'I', &child->dominator);
    write_column(child, "node_retained", 'Q', &child->retained);
    write_column(child, "node_largest", 'I', &child->largest);
    write_column(child, "facts", 'B', &child->facts);
    for (size_t i = 0; i < child->more_count; i++) {
        write_section(child, &child->more[i]);
    }
    if (container_end(&child->writer) < 0) {
        give_up(child, errno);
    }
}

_Noreturn void
run_child(Child *child, const sigset_t *signals)
{
    forget_signal_handlers();
    sigprocmask(SIG_SETMASK, signals, NULL);
    close_other_files(child->file_fd, child->progress_fd, child->facts_fd);
    stand_back();
    PyGC_Disable(); /* only sets a flag, so that no collection can start */
    read_facts(child);
    Capture *capture = &child->capture;
    Facts facts = capture->facts;
    if (capture_init(capture, &facts) < 0) {
        give_up(child, ENOMEM);
    }
    capture->listener = child;
    capture->on_progress = on_progress;
    capture->on_measure = facts.measure == NULL ? NULL : measure_apart;
    tell(child, STAGE_WALK);
    if (capture_run(capture) < 0 || take_sections(capture, child->sections) < 0) {
        give_up(child, ENOMEM);
    }
    capture_free(capture);
    child->progress.objects = child->sections[NODE_SIZE].size / sizeof(uint64_t) - 1
                              - child->sections[NATIVE_NODE].size / sizeof(uint32_t);
    child->progress.edges = child->sections[EDGE_TARGET].size / sizeof(uint32_t);
    tell(child, STAGE_DOMINATORS);
    write_captured(child); /* first, because the dominators need much memory */
    analyse(child);
    rank(child);
    tell(child, STAGE_WRITE);
    write_computed(child);
    tell(child, STAGE_DONE);
    _exit(0);
}

#endif
