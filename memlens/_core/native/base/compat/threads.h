/* What depends on the version of CPython: threads, the exceptions that they handle, and the callbacks of atexit. Included by compat.h. */
#ifndef MEMLENS_BASE_COMPAT_THREADS_H
#define MEMLENS_BASE_COMPAT_THREADS_H

/* ---- threads --------------------------------------------------------------------------------- */

/* The head of the list of threads. In 3.11 a new state is in the list before it is complete, and the
 * lock of the list is held until it is. */
static inline PyThreadState *
compat_first_thread(PyInterpreterState *interpreter)
{
#if MEMLENS_MINOR == 11
    PyThread_acquire_lock(_PyRuntime.interpreters.mutex, WAIT_LOCK);
    PyThreadState *first = PyInterpreterState_ThreadHead(interpreter);
    PyThread_release_lock(_PyRuntime.interpreters.mutex);
    return first;
#else
    return PyInterpreterState_ThreadHead(interpreter);
#endif
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { COMPAT_MOST_EXCEPTION_PARTS = 3 };

/* The exception that the bottom of the stack of handled exceptions holds. The others belong to
 * generators. Returns how many objects it consists of. */
static inline int
compat_handled_exception(PyThreadState *thread, PyObject **parts)
{
    parts[0] = thread->exc_state.exc_value;
    return 1;
}

/* The exception that is being raised. */
static inline int
compat_raised_exception(PyThreadState *thread, PyObject **parts)
{
#if MEMLENS_MINOR >= 12
    parts[0] = thread->current_exception;
    return 1;
#else
    parts[0] = thread->curexc_type;
    parts[1] = thread->curexc_value;
    parts[2] = thread->curexc_traceback;
    return 3;
#endif
}

/* ---- atexit ---------------------------------------------------------------------------------- */

/* The callbacks of atexit: from 3.14 on a list of tuples (function, arguments, keywords), which is
 * NULL before the first. */
static inline PyObject *
compat_atexit_list(PyInterpreterState *interpreter)
{
#if MEMLENS_MINOR >= 14
    return interpreter->atexit.callbacks;
#else
    (void)interpreter;
    return NULL;
#endif
}

/* Up to 3.13 an array in C: how many places it has. */
static inline int
compat_atexit_count(PyInterpreterState *interpreter)
{
#if MEMLENS_MINOR >= 14
    (void)interpreter;
    return 0;
#else
    return interpreter->atexit.ncallbacks;
#endif
}

/* What the array holds at a place: function, arguments, keywords. They are NULL where a callback was
 * taken back. */
static inline void
compat_atexit_callback(PyInterpreterState *interpreter, int place, PyObject *parts[3])
{
    parts[0] = parts[1] = parts[2] = NULL;
#if MEMLENS_MINOR >= 14
    (void)interpreter, (void)place;
#else
    if (interpreter->atexit.callbacks[place] != NULL) {
        parts[0] = interpreter->atexit.callbacks[place]->func;
        parts[1] = interpreter->atexit.callbacks[place]->args;
        parts[2] = interpreter->atexit.callbacks[place]->kwargs;
    }
#endif
}

/* Whether the collector is not shown what an io.BytesIO and an io.StringIO hold. */
#if MEMLENS_MINOR < 12
#define COMPAT_BYTESIO_HIDES_BUFFER 1
#else
#define COMPAT_BYTESIO_HIDES_BUFFER 0
#endif

#endif
