/* The layout of a frame in every supported version of CPython: what the capture and the sampler share.
 *
 * These functions only read memory, so that they may run inside an allocation. They call nothing of
 * CPython that may allocate, free, take a lock, change a reference count or raise.
 *
 * FRAME_LAYOUT_KNOWN is 0 where the layouts below are not known.
 *
 * Up to 3.13 a frame holds plain pointers. From 3.14 on it holds words whose two lowest bits are a tag
 * (_PyStackRef):
 *
 * - 0: a reference that is part of the object's reference count;
 * - 1: a reference that is not: to an immortal object, to one that something else is known to hold
 *   longer (LOAD_FAST_BORROW), or to nothing;
 * - 2 (3.15): no object; 3: an integer. */
#ifndef MEMLENS_BASE_FRAME_LAYOUT_H
#define MEMLENS_BASE_FRAME_LAYOUT_H

#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE 1 /* the layout of interpreter frames is internal */
#endif
#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#if defined(Py_GIL_DISABLED) || PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x03100000
#define FRAME_LAYOUT_KNOWN 0
#else
#define FRAME_LAYOUT_KNOWN 1

#include <stddef.h>
#include <stdint.h>

#include "internal/pycore_frame.h"
#if PY_MINOR_VERSION >= 14
#include "internal/pycore_interpframe.h"
#endif

typedef _PyInterpreterFrame CompatFrame;

/* What a slot of a frame refers to. */
typedef struct {
    PyObject *object; /* or NULL */
    int is_borrowed;  /* the reference is not part of the object's reference count */
} CompatHeld;

/* The layouts that were read and tested. Another one must not compile. */
_Static_assert(sizeof(_Py_CODEUNIT) == 2, "a code unit has two bytes");
#if PY_MINOR_VERSION >= 13
_Static_assert(offsetof(CompatFrame, f_executable) == 0, "frame of CPython 3.13 to 3.15");
_Static_assert(offsetof(CompatFrame, previous) == sizeof(void *), "frame of CPython 3.13 to 3.15");
_Static_assert(offsetof(CompatFrame, instr_ptr) == 7 * sizeof(void *), "frame of CPython 3.13 to 3.15");
#elif PY_MINOR_VERSION == 12
_Static_assert(offsetof(CompatFrame, f_code) == 0, "frame of CPython 3.12");
_Static_assert(offsetof(CompatFrame, previous) == sizeof(void *), "frame of CPython 3.12");
_Static_assert(offsetof(CompatFrame, prev_instr) == 7 * sizeof(void *), "frame of CPython 3.12");
#else
_Static_assert(offsetof(CompatFrame, f_code) == 4 * sizeof(void *), "frame of CPython 3.11");
_Static_assert(offsetof(CompatFrame, previous) == 6 * sizeof(void *), "frame of CPython 3.11");
_Static_assert(offsetof(CompatFrame, prev_instr) == 7 * sizeof(void *), "frame of CPython 3.11");
#endif

#if PY_MINOR_VERSION >= 14
_Static_assert(FRAME_OWNED_BY_INTERPRETER == 3, "owners of frames");
_Static_assert(Py_TAG_REFCNT == 1 && Py_INT_TAG == 3 && Py_TAG_BITS == 3, "tags of stack references");
_Static_assert(sizeof(_PyStackRef) == sizeof(PyObject *), "a stack reference is a word");

static inline CompatHeld
compat_held(_PyStackRef reference)
{
    uintptr_t tag = reference.bits & 3;
    PyObject *object = tag >= 2 ? NULL : (PyObject *)(reference.bits & ~(uintptr_t)3);
    return (CompatHeld){object, tag == 1};
}
#else
#if PY_MINOR_VERSION >= 12
_Static_assert(FRAME_OWNED_BY_CSTACK == 3, "owners of frames");
#endif

static inline CompatHeld
compat_held(PyObject *object)
{
    return (CompatHeld){object};
}
#endif

static inline CompatFrame *
compat_top_frame(PyThreadState *thread)
{
#if PY_MINOR_VERSION <= 12
    return thread->cframe == NULL ? NULL : thread->cframe->current_frame;
#else
    return thread->current_frame;
#endif
}

static inline CompatFrame *
compat_previous_frame(CompatFrame *frame)
{
    return frame->previous;
}

static inline CompatHeld
compat_frame_executable(CompatFrame *frame)
{
#if PY_MINOR_VERSION <= 12
    return compat_held((PyObject *)frame->f_code);
#else
    return compat_held(frame->f_executable);
#endif
}

/* Whether it is one of the frames by which C enters the evaluation loop. */
static inline int
compat_is_frame_of_interpreter(CompatFrame *frame)
{
#if PY_MINOR_VERSION == 11
    (void)frame;
    return 0;
#elif PY_MINOR_VERSION <= 13
    return frame->owner == FRAME_OWNED_BY_CSTACK;
#else
    return frame->owner >= FRAME_OWNED_BY_INTERPRETER;
#endif
}

/* NULL for the interpreter's own frames: they hold nothing of the program. */
static inline PyCodeObject *
compat_frame_code(CompatFrame *frame)
{
    PyObject *code = compat_frame_executable(frame).object;
    return compat_is_frame_of_interpreter(frame) || code == NULL || !PyCode_Check(code)
               ? NULL
               : (PyCodeObject *)code;
}

/* The number of the code unit at which the frame is; negative before the first. */
static inline int
compat_frame_position(CompatFrame *frame, PyCodeObject *code)
{
#if PY_MINOR_VERSION <= 12
    return (int)(frame->prev_instr - _PyCode_CODE(code));
#else
    return (int)(frame->instr_ptr - _PyCode_CODE(code));
#endif
}

static inline int
compat_is_generator_frame(CompatFrame *frame)
{
    return frame->owner == FRAME_OWNED_BY_GENERATOR;
}

#endif /* FRAME_LAYOUT_KNOWN */
#endif
