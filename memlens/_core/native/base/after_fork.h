/* What the interpreter of a forked process needs before it can run Python code, without the handlers
 * of PyOS_AfterFork_Child, which are the program's own.
 *
 * The only thread is the one that forked, and it holds the GIL. Another thread may have asked it to
 * release the GIL, or may have held the locks of the GIL itself for a moment. */
#ifndef MEMLENS_BASE_AFTER_FORK_H
#define MEMLENS_BASE_AFTER_FORK_H

#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include <pthread.h>

static inline void
compat_calm_after_fork(PyThreadState *thread)
{
#if MEMLENS_MINOR == 11
    struct _gil_runtime_state *gil = &_PyRuntime.ceval.gil;
#else
    struct _gil_runtime_state *gil = thread->interp->ceval.gil;
#endif
    pthread_mutex_init(&gil->mutex, NULL);
    pthread_cond_init(&gil->cond, NULL);
    pthread_mutex_init(&gil->switch_mutex, NULL);
    pthread_cond_init(&gil->switch_cond, NULL);
    /* Requests to release the GIL, pending calls, signals, a collection. */
#if MEMLENS_MINOR <= 12
    _Py_atomic_store_relaxed(&thread->interp->ceval.gil_drop_request, 0);
    _Py_atomic_store_relaxed(&thread->interp->ceval.eval_breaker, 0);
#else
    thread->eval_breaker &= ~(uintptr_t)0xff; /* the other bits are the version of the instrumentation */
#endif
    PyThreadState_EnterTracing(thread); /* debuggers and profilers are the program's code */
}

#endif /* MEMLENS_SUPPORTED */
#endif
