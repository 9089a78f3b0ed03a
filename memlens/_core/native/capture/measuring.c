/* Asking the adapters of libraries, which are Python code, about the memory of objects.
 *
 * The child of a forked capture must not run Python: a lock that another thread held at the fork is
 * never released. So it forks once more after its walk, and only that process runs the adapters.
 * It may hang or crash, and it takes nothing with it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* _Fork */
#endif
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/measuring.h"
#include "base/after_fork.h"
#include "capture/separation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { READ_BYTES = 1 << 16 };

/* ---- in the process that asks ---------------------------------------------------------------- */

static int
write_exactly(int fd, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t done = write(fd, at, bytes);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return -1;
        }
        at += done;
        bytes -= (size_t)done;
    }
    return 0;
}

/* send(chunk); `self` is the number of the descriptor. */
static PyObject *
send_chunk(PyObject *self, PyObject *chunk)
{
    int fd = (int)PyLong_AsLong(self);
    if (!PyBytes_Check(chunk) || PyBytes_GET_SIZE(chunk) > (Py_ssize_t)UINT32_MAX) {
        PyErr_SetString(PyExc_TypeError, "a chunk is bytes");
        return NULL;
    }
    uint32_t length = (uint32_t)PyBytes_GET_SIZE(chunk);
    if (write_exactly(fd, &length, sizeof length) < 0
        || write_exactly(fd, PyBytes_AS_STRING(chunk), length) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyMethodDef send_function = {"send", send_chunk, METH_O, NULL};

static PyObject *
list_of_owners(const Capture *capture)
{
    size_t count = COUNT(capture->native_owners, uint32_t);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; i < count && list != NULL; i++) {
        PyObject *object = object_at(capture, ITEMS(capture->native_owners, uint32_t)[i]);
        PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(object));
    }
    return list;
}

/* Close all files but one, which gets a number that nobody prints to; return that number. */
static int
keep_only(int fd)
{
    int kept = fcntl(fd, F_DUPFD, 3);
    if (kept < 0) {
        _exit(3);
    }
    close_other_files(kept, kept, kept);
    for (int i = 0; i < 3; i++) {
        if (open("/dev/null", O_RDWR) != i) {
            _exit(3);
        }
    }
    return kept;
}

_Noreturn static void
run_adapters(const Capture *capture, int fd, pid_t parent)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent) {
        _exit(2); /* it has gone already */
    }
    compat_calm_after_fork(capture->facts.thread);
    PyErr_Clear();
    PyObject *objects = list_of_owners(capture), *number = PyLong_FromLong(fd);
    PyObject *send = number == NULL ? NULL : PyCFunction_New(&send_function, number);
    PyObject *done = objects == NULL || send == NULL
                         ? NULL
                         : PyObject_CallFunctionObjArgs(capture->facts.measure, objects, send, NULL);
    _exit(done == NULL);
}

/* ---- in the child that captures -------------------------------------------------------------- */

static int64_t
now_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Read until the other end is closed or the time is over. Returns 0 if there was more than may be
 * read: the memory is that of the child, beside the service. */
static int
read_for(Capture *capture, int fd, Buffer *chunks)
{
    int64_t end = now_milliseconds() + capture->facts.measure_milliseconds, left;
    while ((left = end - now_milliseconds()) > 0) {
        struct pollfd ready = {fd, POLLIN, 0};
        int count = poll(&ready, 1, (int)left);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return 1;
        }
        if (buffer_reserve(chunks, READ_BYTES) < 0) {
            capture->failed = 1;
            return 1;
        }
        ssize_t done = read(fd, chunks->data + chunks->size, READ_BYTES);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return 1;
        }
        if (chunks->size >= (size_t)capture->facts.measure_bytes) {
            return 0;
        }
        chunks->size += (size_t)done;
    }
    return 1;
}

/* Note how the process ended, unless it ended well: an adapter may not have noted anything. */
static void
note_end(Capture *capture, const char *state)
{
    char note[80];
    int length = snprintf(note, sizeof note, "{\"library\": \"all adapters\", \"state\": \"%s\"}\n",
                          state);
    capture->failed |= buffer_push(&capture->native_notes, note, (size_t)length) < 0;
}

static void
stop(Capture *capture, pid_t pid, const char *state)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    note_end(capture, state);
}

static void
wait_for(Capture *capture, pid_t pid)
{
    int status = 0;
    pid_t ended = waitpid(pid, &status, WNOHANG); /* it may be just about to end */
    for (int i = 0; ended == 0 && i < 50; i++) {
        poll(NULL, 0, 1);
        ended = waitpid(pid, &status, WNOHANG);
    }
    if (ended == 0) {
        stop(capture, pid, "did not end");
    }
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        note_end(capture, WIFSIGNALED(status) ? "crashed" : "failed");
    }
}

void
measure_apart(Capture *capture, Buffer *chunks)
{
    int ends[2];
    pid_t pid = -1, self = getpid();
    if (pipe(ends) == 0) {
#if MEMLENS_HAS_PLAIN_FORK
        pid = _Fork();
#else
        pid = fork();
#endif
        if (pid == 0) {
            run_adapters(capture, keep_only(ends[1]), self);
        }
        close(ends[1]);
        if (pid > 0) {
            if (read_for(capture, ends[0], chunks)) {
                wait_for(capture, pid);
            }
            else {
                stop(capture, pid, "sent too much");
            }
        }
        close(ends[0]);
    }
    if (pid < 0) {
        note_end(capture, "no process");
    }
}

/* ---- in the program -------------------------------------------------------------------------- */

void
stop_to_measure(Capture *capture, Buffer *chunks)
{
    PyObject **objects = capture->listener;
    (void)chunks;
    *objects = list_of_owners(capture);
    if (*objects != NULL) {
        PyObject_GC_UnTrack(*objects); /* no object of the program */
    }
    capture->failed = 1;
}

static int
join_chunks(PyObject *sent, Buffer *chunks)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(sent); i++) {
        PyObject *chunk = PyList_GET_ITEM(sent, i);
        if (!PyBytes_Check(chunk) || PyBytes_GET_SIZE(chunk) > (Py_ssize_t)UINT32_MAX) {
            PyErr_SetString(PyExc_TypeError, "a chunk is bytes");
            return -1;
        }
        uint32_t length = (uint32_t)PyBytes_GET_SIZE(chunk);
        if (buffer_push(chunks, &length, sizeof length) < 0 /* not aligned */
            || buffer_push(chunks, PyBytes_AS_STRING(chunk), length) < 0) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

static int
ask_here(const Facts *facts, Buffer *chunks)
{
    PyObject *sent = PyList_New(0);
    PyObject *append = sent == NULL ? NULL : PyObject_GetAttrString(sent, "append");
    PyObject *done = append == NULL ? NULL
                                    : PyObject_CallFunctionObjArgs(facts->measure, facts->measured,
                                                                   append, NULL);
    int failed = done == NULL || join_chunks(sent, chunks) < 0;
    Py_XDECREF(done);
    Py_XDECREF(append);
    Py_XDECREF(sent);
    return failed ? -1 : 0;
}

int
measure_here(Facts *facts, PyObject *objects, Buffer *chunks)
{
    facts->measured = objects;
    if (ask_here(facts, chunks) < 0) {
        return -1;
    }
    facts->chunks = chunks->data;
    facts->chunk_bytes = chunks->size;
    return 0;
}

#endif
