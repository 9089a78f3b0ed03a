/* A capture by a forked child: the parent stops for the fork alone.
 *
 * The child has a frozen copy of the heap and one thread, the one that forked. The locks of all
 * other threads are as they were, for ever: so from fork to _exit it takes no lock, calls no
 * allocator (but for values: see plain_fork), never enters the evaluation loop, runs no handler.
 * Whatever needs Python has been prepared before (prepare.c), and what it writes to is what it was
 * given: the file, the pipe for its progress, the pipe with the facts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* _Fork */
#endif
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "io/container.h"
#include "capture/sections.h"
#include "capture/module.h"
#include "graph/dominators.h"
#include "graph/ranking.h"
#include "graph/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What the child says through its pipe: records of this form, each in one write. */
enum { STAGE_WALK = 1, STAGE_DOMINATORS = 2, STAGE_WRITE = 3, STAGE_DONE = 4, STAGE_FAILED = 5 };

typedef struct {
    uint64_t stage;
    uint64_t objects, edges;   /* found so far */
    uint64_t bytes;            /* of the file, written so far */
    uint64_t nanoseconds;      /* since the fork */
    uint64_t error;            /* errno, of a failure */
} Progress;
_Static_assert(sizeof(Progress) == 48, "one write to a pipe, never torn");

enum { MOST_MORE = 16 };

typedef struct {
    int file_fd, progress_fd, facts_fd;
    pid_t parent;
    uint64_t started; /* nanoseconds */
    Progress progress;
    Capture capture;
    Buffer sections[SECTION_COUNT];
    Buffer facts, dominator, retained, largest;
    ContainerSection more[MOST_MORE]; /* the caller's: memory that the child has a copy of */
    size_t more_count;
} Child;

static uint64_t
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
    /* Nobody may be listening, or the pipe may be full: that is no reason to stop. */
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
        _exit(2); /* nobody waits any more */
    }
    tell(child, STAGE_WALK);
}

/* ---- becoming a process of its own ----------------------------------------------------------- */

/* A signal for the child must do what it does to a process without Python: Python's handlers would
 * write into the parent's event loop, through the descriptor that both share. */
static void
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

/* The parent's sockets and pipes must end when the parent closes them. */
static void
close_other_files(const Child *child)
{
    int kept[3] = {child->file_fd, child->progress_fd, child->facts_fd};
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

static void
stand_back(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* a crash here is an error in the parent, not a core file */
#ifdef __linux__
    /* When memory runs out, the snapshot goes before the service does. */
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t ignored = write(fd, "1000", 4);
        (void)ignored;
        close(fd);
    }
#endif
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
analyse(Child *child)
{
    Graph graph = sections_graph(child->sections);
    if (buffer_zeros(&child->dominator, graph.node_count * sizeof(uint32_t)) < 0
        || buffer_zeros(&child->retained, graph.node_count * sizeof(uint64_t)) < 0) {
        give_up(child, ENOMEM);
    }
    memcpy(child->retained.data, child->sections[NODE_SIZE].data, child->retained.size);
    if (find_dominators(&graph, ITEMS(child->dominator, uint32_t), ITEMS(child->retained, uint64_t))
        < 0) {
        give_up(child, ENOMEM);
    }
}

/* What retains the most: garbage left out, and what memlens alone keeps alive. */
static void
rank(Child *child)
{
    Tree tree = tree_of(ITEMS(child->dominator, uint32_t),
                        (uint32_t)COUNT(child->dominator, uint32_t));
    Buffer flags = {NULL, 0, 0};
    if (buffer_zeros(&flags, tree.count * sizeof(uint16_t)) < 0
        || buffer_zeros(&child->largest, LARGEST_STORED * sizeof(uint32_t)) < 0) {
        give_up(child, ENOMEM);
    }
    memcpy(flags.data, child->sections[NODE_FLAGS].data, flags.size);
    if (tree_spread_flags(&tree, ITEMS(flags, uint16_t), FLAG_OWN) < 0) {
        give_up(child, ENOMEM);
    }
    child->largest.size = sizeof(uint32_t)
                          * rank_largest(ITEMS(child->retained, uint64_t), ITEMS(flags, uint16_t),
                                         tree.count, FLAG_OWN | FLAG_GARBAGE,
                                         ITEMS(child->largest, uint32_t), LARGEST_STORED);
    buffer_free(&flags);
}

static void
write_file(Child *child)
{
    ContainerSection out[SECTION_COUNT + 4 + MOST_MORE];
    size_t count = 0;
    for (; count < SECTION_COUNT; count++) {
        out[count] = (ContainerSection){section_names[count].name, section_names[count].typecode,
                                        child->sections[count].data, child->sections[count].size};
    }
    out[count++] = (ContainerSection){"node_dominator", 'I', child->dominator.data,
                                      child->dominator.size};
    out[count++] = (ContainerSection){"node_retained", 'Q', child->retained.data,
                                      child->retained.size};
    out[count++] = (ContainerSection){"node_largest", 'I', child->largest.data, child->largest.size};
    out[count++] = (ContainerSection){"facts", 'B', child->facts.data, child->facts.size};
    for (size_t i = 0; i < child->more_count; i++) {
        out[count++] = child->more[i];
    }
    if (container_write(child->file_fd, out, count, &child->progress.bytes) < 0) {
        give_up(child, errno);
    }
}

_Noreturn static void
run_child(Child *child, const sigset_t *signals)
{
    forget_signal_handlers();
    sigprocmask(SIG_SETMASK, signals, NULL);
    close_other_files(child);
    stand_back();
    PyGC_Disable(); /* sets a flag; nothing here should ever make it collect */
    read_facts(child);
    Capture *capture = &child->capture;
    Facts facts = capture->facts;
    if (capture_init(capture, &facts) < 0) {
        give_up(child, ENOMEM);
    }
    capture->listener = child;
    capture->on_progress = on_progress;
    tell(child, STAGE_WALK);
    if (capture_run(capture) < 0 || take_sections(capture, child->sections) < 0) {
        give_up(child, ENOMEM);
    }
    capture_free(capture);
    child->progress.objects = child->sections[NODE_SIZE].size / sizeof(uint64_t) - 1;
    child->progress.edges = child->sections[EDGE_TARGET].size / sizeof(uint32_t);
    tell(child, STAGE_DOMINATORS);
    analyse(child);
    rank(child);
    tell(child, STAGE_WRITE);
    write_file(child);
    tell(child, STAGE_DONE);
    _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* Without the handlers that libraries hang on fork(): they stop thread pools, take locks, and the
 * child uses nothing of what they protect. But the texts of values are made by Python's allocators:
 * only fork() leaves malloc usable in the child, whatever another thread was doing with it. */
static pid_t
plain_fork(int values)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    return values ? fork() : _Fork();
#else
    return fork();
#endif
}

static pid_t
fork_child(Child *child)
{
    sigset_t all, before;
    sigfillset(&all);
    child->parent = getpid();
    child->started = now_nanoseconds();
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of Python's may run in the child */
    pid_t pid = plain_fork(child->capture.facts.values);
    if (pid == 0) {
        run_child(child, &before);
    }
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

/* Sections to write as they are: a tuple of (name, typecode, bytes). The names and bytes live at
 * least as long as the tuple. */
static int
take_more(Child *child, PyObject *more)
{
    Py_ssize_t count = more == NULL ? 0 : PyTuple_GET_SIZE(more);
    if (count > MOST_MORE) {
        PyErr_Format(PyExc_ValueError, "more: at most %d sections, not %zd", MOST_MORE, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        ContainerSection *section = &child->more[i];
        const char *data;
        Py_ssize_t bytes;
        int typecode;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(more, i), "sCy#", &section->name, &typecode, &data,
                              &bytes)) {
            return -1;
        }
        section->typecode = (char)typecode;
        section->data = data;
        section->bytes = (size_t)bytes;
    }
    child->more_count = (size_t)count;
    return 0;
}

PyObject *
capture_fork_capture(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[]
        = {"file_fd", "progress_fd", "facts_fd", "values", "own_prefix", "skip_frames", "more", NULL};
    ModuleState *state = module_state(module);
    PyObject *own_prefix = NULL, *more = NULL;
    Py_ssize_t skip_frames = 0;
    int values = 0, file_fd, progress_fd, facts_fd;
    Facts facts;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iii|$pUnO!:fork_capture", names, &file_fd,
                                     &progress_fd, &facts_fd, &values, &own_prefix, &skip_frames,
                                     &PyTuple_Type, &more)
        || prepare_facts(&facts, own_prefix, values, skip_frames, state->python_traverse) < 0
        || make_frame_objects(&facts) < 0) {
        return NULL;
    }
    Child *child = mmap(NULL, sizeof *child, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
    if (child == MAP_FAILED) {
        return PyErr_NoMemory();
    }
    child->file_fd = file_fd;
    child->progress_fd = progress_fd;
    child->facts_fd = facts_fd;
    child->capture.facts = facts;
    if (take_more(child, more) < 0) {
        munmap(child, sizeof *child);
        return NULL;
    }
    pid_t pid = fork_child(child);
    int error = errno;
    munmap(child, sizeof *child);
    if (pid < 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromPid(pid);
}

#endif
