/* What frames and generators refer to, in every supported version of CPython.
 *
 * A frame is a structure, and its frame object is created only on request. See frame_layout.h. */
#ifndef MEMLENS_BASE_FRAMES_H
#define MEMLENS_BASE_FRAMES_H

#include "base/compat.h"
#include "base/frame_layout.h"

#if MEMLENS_SUPPORTED

static inline CompatHeld
compat_frame_function(CompatFrame *frame)
{
#if MEMLENS_MINOR == 11
    return compat_held((PyObject *)frame->f_func);
#else
    return compat_held(frame->f_funcobj);
#endif
}

static inline PyObject *
compat_frame_object(CompatFrame *frame)
{
    return (PyObject *)frame->frame_obj;
}

/* A variable or a temporary of a frame. */
static inline CompatHeld
compat_frame_slot(CompatFrame *frame, int slot)
{
    return compat_held(frame->localsplus[slot]);
}

/* How many of the frame's variables and temporaries are valid in its array. Up to 3.13 the
 * evaluation loop keeps the top of the stack of a running frame in a register, so only the
 * variables are certain. From 3.14 on it stores the top before anything else can run; a frame that
 * is being cleared has fewer than its variables. */
static inline int
compat_frame_stored(CompatFrame *frame, PyCodeObject *code)
{
#if MEMLENS_MINOR >= 14
    (void)code;
    return frame->stackpointer == NULL ? 0 : (int)(frame->stackpointer - frame->localsplus);
#else
    return frame->stacktop > code->co_nlocalsplus ? frame->stacktop : code->co_nlocalsplus;
#endif
}

/* The offset in bytes of the instruction at which the frame is, as PyCode_Addr2Line wants it. */
static inline int
compat_frame_instruction(CompatFrame *frame, PyCodeObject *code)
{
    return compat_frame_position(frame, code) * (int)sizeof(_Py_CODEUNIT);
}

enum { COMPAT_MOST_FRAME_FIELDS = 8 };

/* What a frame object refers to itself. Returns how many fields there are. */
static inline int
compat_frame_object_fields(PyFrameObject *frame, CompatNamed *fields)
{
    int count = 0;
    fields[count++] = (CompatNamed){"f_back", (PyObject *)frame->f_back};
    fields[count++] = (CompatNamed){"f_trace", frame->f_trace};
#if MEMLENS_MINOR >= 13
    fields[count++] = (CompatNamed){"f_extra_locals", frame->f_extra_locals};
    fields[count++] = (CompatNamed){"f_locals_cache", frame->f_locals_cache};
#endif
#if MEMLENS_MINOR >= 14
    PyObject *overwritten = frame->f_overwritten_fast_locals;
    fields[count++] = (CompatNamed){"f_overwritten_fast_locals", overwritten};
#endif
    return count;
}

/* What the structure of a frame refers to, except its variables and temporaries. Returns how many
 * fields there are. */
static inline int
compat_frame_fields(CompatFrame *frame, CompatNamed *fields)
{
    CompatHeld function = compat_frame_function(frame), code = compat_frame_executable(frame);
    fields[0] = (CompatNamed){"f_func", function.object, function.is_borrowed};
    fields[1] = (CompatNamed){"f_code", code.object, code.is_borrowed};
    fields[2] = (CompatNamed){"f_locals", frame->f_locals};
    return 3;
}

static inline CompatFrame *
compat_frame_of_object(PyFrameObject *object)
{
    return object->f_frame;
}

/* Whether the generator, and not the frame object, shows what the frame holds. */
static inline int
compat_generator_shows_frame(CompatFrame *frame)
{
    return frame->owner == FRAME_OWNED_BY_GENERATOR;
}

static inline size_t
compat_frame_bytes(PyCodeObject *code)
{
    return offsetof(CompatFrame, localsplus)
           + (size_t)(code->co_nlocalsplus + code->co_stacksize) * sizeof(PyObject *);
}

/* Bytes of a frame object beyond its basic size: after the call has ended, the structure of the
 * frame lies within the object. */
static inline size_t
compat_frame_object_bytes(CompatFrame *frame, PyCodeObject *code)
{
    return frame->owner == FRAME_OWNED_BY_FRAME_OBJECT ? compat_frame_bytes(code) : 0;
}

/* ---- generators, coroutines, asynchronous generators: one structure -------------------------- */

/* The frame of a generator that has not ended, or NULL. */
static inline CompatFrame *
compat_generator_frame(PyGenObject *generator)
{
    /* A frame, or up to 3.13 an array of one pointer in which the frame begins. */
    char *frame = (char *)generator + offsetof(PyGenObject, gi_iframe);
    return generator->gi_frame_state >= FRAME_CLEARED ? NULL : (CompatFrame *)frame;
}

/* Whether the generator that this frame is a part of is running. While it is, the frame object
 * shows what the frame holds. */
static inline int
compat_generator_frame_is_running(CompatFrame *frame)
{
    PyGenObject *generator = (PyGenObject *)((char *)frame - offsetof(PyGenObject, gi_iframe));
    return generator->gi_frame_state == FRAME_EXECUTING;
}

enum { COMPAT_MOST_GENERATOR_FIELDS = 8 };

/* What a generator refers to, except its frame. Returns how many fields there are. */
static inline int
compat_generator_fields(PyGenObject *generator, CompatNamed *fields)
{
    int count = 0;
    fields[count++] = (CompatNamed){"__name__", generator->gi_name};
    fields[count++] = (CompatNamed){"__qualname__", generator->gi_qualname};
    fields[count++] = (CompatNamed){"exc_value", generator->gi_exc_state.exc_value};
    if (Py_TYPE(generator) != &PyGen_Type) { /* generators share the field but never fill it */
        PyObject *either = generator->gi_origin_or_finalizer;
        fields[count++] = (CompatNamed){"origin_or_finalizer", either};
    }
#if MEMLENS_MINOR == 11
    fields[count++] = (CompatNamed){"gi_code", (PyObject *)generator->gi_code};
#endif
    return count;
}

/* What its frame adds, except variables and temporaries. */
static inline int
compat_generator_frame_fields(CompatFrame *frame, CompatNamed *fields)
{
    int count = compat_frame_fields(frame, fields);
    fields[count++] = (CompatNamed){"gi_frame", compat_frame_object(frame)};
    return count;
}

/* The code of a generator that has ended, if it still refers to it, or NULL. */
static inline PyCodeObject *
compat_ended_generator_code(PyGenObject *generator)
{
#if MEMLENS_MINOR == 11
    return generator->gi_code;
#else
    (void)generator;
    return NULL;
#endif
}

/* Bytes of a generator beyond its basic size: its frame lies within it. */
static inline size_t
compat_generator_frame_bytes(PyCodeObject *code, PyTypeObject *type)
{
    return offsetof(PyGenObject, gi_iframe) + compat_frame_bytes(code) - (size_t)type->tp_basicsize;
}

#endif /* MEMLENS_SUPPORTED */
#endif
