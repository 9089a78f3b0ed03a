/* fork_capture(): a capture by a forked child. The parent stops for the fork alone. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* _Fork, syscall */
#endif
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/child.h"
#include "capture/module.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#if MEMLENS_HAS_PLAIN_FORK
#include <sys/syscall.h>
#endif
#include <unistd.h>

/* For the adapters of all libraries together. */
enum { MEASURE_MILLISECONDS = 10000, MEASURE_BYTES = 1 << 28 };
enum { MOST_WAIT_MILLISECONDS = 1000 };

#if MEMLENS_HAS_PLAIN_FORK
/* Fork for a child that ends without SIGCHLD: wait() and waitpid(-1) of the program, which may expect
 * no other children than its own, do not return it, only calls with __WALL do (child_process.py). */
static pid_t
fork_unseen(void)
{
    return (pid_t)syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L); /* zeros: the same on any processor */
}
#endif

/* Fork without the handlers of pthread_atfork: they stop thread pools and take locks, and the child
 * uses nothing that they protect; the process that asks adapters may, and is killed if it hangs (see
 * measuring.c). With values it is different: their texts come from Python's
 * allocators, and only fork() leaves malloc usable in the child. */
static pid_t
fork_for(int values)
{
#if MEMLENS_HAS_PLAIN_FORK
    if (!values) {
        pid_t pid = fork_unseen();
        return pid < 0 ? _Fork() : pid; /* a sandbox may allow only what fork() does */
    }
#endif
    return fork();
}

static pid_t
fork_child(Child *child)
{
    sigset_t all, before;
    sigfillset(&all);
    child->parent = getpid();
    child->started = now_nanoseconds();
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of Python's may run in the child */
    pid_t pid = fork_for(child->capture.facts.values);
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
        if (strcmp(section->name, "site_address") == 0) {
            set_blocks(&child->capture.facts, data, bytes);
        }
    }
    child->more_count = (size_t)count;
    return 0;
}

/* Fork with these facts. Returns the child's process id, or NULL with an exception set. */
static PyObject *
fork_with(const Facts *facts, const int *files, PyObject *more)
{
    Child *child = mmap(NULL, sizeof *child, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
    if (child == MAP_FAILED) {
        return PyErr_NoMemory();
    }
    child->file_fd = files[0];
    child->progress_fd = files[1];
    child->facts_fd = files[2];
    child->capture.facts = *facts;
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

PyObject *
capture_fork_capture(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[]
        = {"file_fd",     "progress_fd", "facts_fd",     "values",  "own_prefix",
           "skip_frames", "more",        "native_types", "measure",
           "measure_milliseconds", "measure_bytes", NULL};
    ModuleState *state = module_state(module);
    PyObject *own_prefix = NULL, *more = NULL, *native_types = NULL, *measure = NULL;
    Py_ssize_t skip_frames = 0, measure_bytes = MEASURE_BYTES;
    int values = 0, measure_milliseconds = MEASURE_MILLISECONDS, files[3];
    Facts facts;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "iii|$pUnO!O!Oin:fork_capture", names, &files[0],
                                     &files[1], &files[2], &values, &own_prefix, &skip_frames,
                                     &PyTuple_Type, &more, &PyTuple_Type, &native_types, &measure,
                                     &measure_milliseconds, &measure_bytes)) {
        return NULL;
    }
    if (measure_bytes < 0) {
        return PyErr_Format(PyExc_ValueError, "measure_bytes must not be negative, not %zd",
                            measure_bytes);
    }
    int was_on = PyGC_Disable(), failed;
    failed = prepare_facts(&facts, own_prefix, values, skip_frames, state->python_traverse) < 0;
    set_adapters(&facts, native_types, measure);
    facts.measure_milliseconds = measure_milliseconds;
    facts.measure_bytes = measure_bytes;
    PyObject *pid = failed ? NULL : fork_with(&facts, files, more);
    if (was_on) {
        PyGC_Enable();
    }
    return pid;
}

/* Wait with the GIL held, so that no other thread of Python runs meanwhile. */
PyObject *
capture_wait_with_gil(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"descriptor", "milliseconds", NULL};
    int descriptor, milliseconds;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ii:wait_with_gil", names, &descriptor,
                                     &milliseconds)) {
        return NULL;
    }
    if (milliseconds < 0 || milliseconds > MOST_WAIT_MILLISECONDS) {
        return PyErr_Format(PyExc_ValueError, "milliseconds: 0 to %d, not %d",
                            MOST_WAIT_MILLISECONDS, milliseconds);
    }
    struct pollfd ready = {descriptor, POLLIN, 0};
    int count = poll(&ready, 1, milliseconds); /* a signal ends it, too */
    return PyBool_FromLong(count > 0);
}

#endif
