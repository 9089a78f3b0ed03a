/* Frames and generators, in every supported version of CPython.
 *
 * From 3.11 on a frame is a separate structure, and a frame object is created only on request.
 * In 3.10 the frame object is the frame. */
#ifndef MEMLENS_BASE_FRAMES_H
#define MEMLENS_BASE_FRAMES_H

#include "base/compat.h"

#if MEMLENS_SUPPORTED

#if MEMLENS_MINOR >= 11
typedef struct _PyInterpreterFrame CompatFrame;
#else
typedef PyFrameObject CompatFrame;
#endif

static inline CompatFrame *
compat_top_frame(PyThreadState *thread)
{
#if MEMLENS_MINOR == 10
    return thread->frame;
#elif MEMLENS_MINOR <= 12
    return thread->cframe == NULL ? NULL : thread->cframe->current_frame;
#else
    return thread->current_frame;
#endif
}

static inline CompatFrame *
compat_previous_frame(CompatFrame *frame)
{
#if MEMLENS_MINOR == 10
    return frame->f_back;
#else
    return frame->previous;
#endif
}

/* NULL for the frames by which C enters the evaluation loop: they hold nothing of the program. */
static inline PyCodeObject *
compat_frame_code(CompatFrame *frame)
{
#if MEMLENS_MINOR <= 11
    return frame->f_code;
#elif MEMLENS_MINOR == 12
    return frame->owner == FRAME_OWNED_BY_CSTACK ? NULL : frame->f_code;
#else
    if (frame->owner == FRAME_OWNED_BY_CSTACK || !PyCode_Check(frame->f_executable)) {
        return NULL;
    }
    return (PyCodeObject *)frame->f_executable;
#endif
}

static inline PyObject *
compat_frame_function(CompatFrame *frame)
{
#if MEMLENS_MINOR == 10
    (void)frame;
    return NULL;
#elif MEMLENS_MINOR == 11
    return (PyObject *)frame->f_func;
#else
    return frame->f_funcobj;
#endif
}

static inline PyObject *
compat_frame_object(CompatFrame *frame)
{
#if MEMLENS_MINOR == 10
    return (PyObject *)frame;
#else
    return (PyObject *)frame->frame_obj;
#endif
}

static inline PyObject **
compat_frame_locals(CompatFrame *frame)
{
#if MEMLENS_MINOR == 10
    return frame->f_localsplus;
#else
    return frame->localsplus;
#endif
}

/* How many of the frame's variables and temporaries are valid in its array. While the frame
 * runs, the evaluation loop keeps the top of the stack in a register, so only the variables are
 * certain. */
static inline int
compat_frame_stored(CompatFrame *frame, PyCodeObject *code)
{
#if MEMLENS_MINOR == 10
    int variables = (int)(code->co_nlocals + PyTuple_GET_SIZE(code->co_cellvars)
                          + PyTuple_GET_SIZE(code->co_freevars));
    return frame->f_stackdepth > 0 ? variables + frame->f_stackdepth : variables;
#else
    return frame->stacktop > code->co_nlocalsplus ? frame->stacktop : code->co_nlocalsplus;
#endif
}

/* The offset in bytes of the instruction at which the frame is, as PyCode_Addr2Line wants it. */
static inline int
compat_frame_instruction(CompatFrame *frame, PyCodeObject *code)
{
#if MEMLENS_MINOR == 10
    (void)code;
    return frame->f_lasti * (int)sizeof(_Py_CODEUNIT);
#elif MEMLENS_MINOR <= 12
    return (int)((char *)frame->prev_instr - (char *)_PyCode_CODE(code));
#else
    return (int)((char *)frame->instr_ptr - (char *)_PyCode_CODE(code));
#endif
}

static inline int
compat_is_generator_frame(CompatFrame *frame)
{
#if MEMLENS_MINOR == 10
    return frame->f_gen != NULL;
#else
    return frame->owner == FRAME_OWNED_BY_GENERATOR;
#endif
}

enum { COMPAT_MOST_FRAME_FIELDS = 8 };

/* What a frame object refers to itself. Returns how many fields there are. */
static inline int
compat_frame_object_fields(PyFrameObject *frame, CompatNamed *fields)
{
    int count = 0;
    fields[count++] = (CompatNamed){"f_back", (PyObject *)frame->f_back};
#if MEMLENS_MINOR == 10
    fields[count++] = (CompatNamed){"f_code", (PyObject *)frame->f_code};
    fields[count++] = (CompatNamed){"f_builtins", frame->f_builtins};
    fields[count++] = (CompatNamed){"f_globals", frame->f_globals};
    fields[count++] = (CompatNamed){"f_locals", frame->f_locals};
#endif
    fields[count++] = (CompatNamed){"f_trace", frame->f_trace};
#if MEMLENS_MINOR >= 13
    fields[count++] = (CompatNamed){"f_extra_locals", frame->f_extra_locals};
    fields[count++] = (CompatNamed){"f_locals_cache", frame->f_locals_cache};
#endif
    return count;
}

/* What the structure of a frame refers to, if it is separate from the frame object. */
static inline int
compat_frame_fields(CompatFrame *frame, CompatNamed *fields)
{
#if MEMLENS_MINOR == 10
    (void)frame, (void)fields;
    return 0;
#else
    fields[0] = (CompatNamed){"f_func", compat_frame_function(frame)};
    fields[1] = (CompatNamed){"f_code", (PyObject *)compat_frame_code(frame)};
    fields[2] = (CompatNamed){"f_locals", frame->f_locals};
    return 3;
#endif
}

/* All references of a frame except its variables and temporaries. Missing ones are NULL. Returns
 * how many there are. */
static inline int
compat_frame_held(CompatFrame *frame, PyObject **held)
{
    held[0] = (PyObject *)compat_frame_code(frame);
    held[1] = compat_frame_function(frame);
    held[2] = frame->f_locals;
#if MEMLENS_MINOR == 10
    held[3] = frame->f_globals;
    held[4] = frame->f_builtins;
    held[5] = (PyObject *)frame->f_back;
    held[6] = (PyObject *)frame;
    return 7;
#else
    return 3;
#endif
}

static inline CompatFrame *
compat_frame_of_object(PyFrameObject *object)
{
#if MEMLENS_MINOR == 10
    return object;
#else
    return object->f_frame;
#endif
}

/* Whether the generator, and not the frame object, shows what the frame holds. */
static inline int
compat_generator_shows_frame(CompatFrame *frame)
{
#if MEMLENS_MINOR == 10
    (void)frame;
    return 0;
#else
    return frame->owner == FRAME_OWNED_BY_GENERATOR;
#endif
}

#if MEMLENS_MINOR >= 11
static inline size_t
compat_frame_bytes(PyCodeObject *code)
{
    return offsetof(CompatFrame, localsplus)
           + (size_t)(code->co_nlocalsplus + code->co_stacksize) * sizeof(PyObject *);
}
#endif

/* Bytes of a frame object beyond its basic size: after the call has ended, the structure of the
 * frame lies within the object. */
static inline size_t
compat_frame_object_bytes(CompatFrame *frame, PyCodeObject *code)
{
#if MEMLENS_MINOR == 10
    (void)frame, (void)code;
    return 0;
#else
    return frame->owner == FRAME_OWNED_BY_FRAME_OBJECT ? compat_frame_bytes(code) : 0;
#endif
}

/* ---- generators, coroutines, asynchronous generators: one structure -------------------------- */

/* The frame of a generator that has not ended, or NULL. */
static inline CompatFrame *
compat_generator_frame(PyGenObject *generator)
{
#if MEMLENS_MINOR == 10
    return generator->gi_frame;
#else
    return generator->gi_frame_state >= FRAME_CLEARED ? NULL
                                                       : (CompatFrame *)generator->gi_iframe;
#endif
}

/* Whether the generator that this frame is a part of is running. While it is, the frame object
 * shows what the frame holds. */
static inline int
compat_generator_frame_is_running(CompatFrame *frame)
{
#if MEMLENS_MINOR == 10
    (void)frame;
    return 0;
#else
    PyGenObject *generator = (PyGenObject *)((char *)frame - offsetof(PyGenObject, gi_iframe));
    return generator->gi_frame_state == FRAME_EXECUTING;
#endif
}

enum { COMPAT_MOST_GENERATOR_FIELDS = 8 };

/* What a generator refers to, except its frame. Returns how many fields there are. */
static inline int
compat_generator_fields(PyGenObject *generator, CompatNamed *fields)
{
    int count = 0;
    fields[count++] = (CompatNamed){"__name__", generator->gi_name};
    fields[count++] = (CompatNamed){"__qualname__", generator->gi_qualname};
#if MEMLENS_MINOR == 10
    fields[count++] = (CompatNamed){"gi_code", generator->gi_code};
    fields[count++] = (CompatNamed){"gi_frame", (PyObject *)generator->gi_frame};
    fields[count++] = (CompatNamed){"exc_type", generator->gi_exc_state.exc_type};
    fields[count++] = (CompatNamed){"exc_value", generator->gi_exc_state.exc_value};
    fields[count++] = (CompatNamed){"exc_traceback", generator->gi_exc_state.exc_traceback};
    if (Py_TYPE(generator) == &PyCoro_Type) {
        PyObject *origin = ((PyCoroObject *)generator)->cr_origin;
        fields[count++] = (CompatNamed){"origin_or_finalizer", origin};
    }
    else if (Py_TYPE(generator) == &PyAsyncGen_Type) {
        PyObject *finalizer = ((PyAsyncGenObject *)generator)->ag_finalizer;
        fields[count++] = (CompatNamed){"origin_or_finalizer", finalizer};
    }
#else
    fields[count++] = (CompatNamed){"exc_value", generator->gi_exc_state.exc_value};
    if (Py_TYPE(generator) != &PyGen_Type) { /* generators share the field but never fill it */
        PyObject *either = generator->gi_origin_or_finalizer;
        fields[count++] = (CompatNamed){"origin_or_finalizer", either};
    }
#if MEMLENS_MINOR == 11
    fields[count++] = (CompatNamed){"gi_code", (PyObject *)generator->gi_code};
#endif
#endif
    return count;
}

/* What its frame adds, except variables and temporaries. */
static inline int
compat_generator_frame_fields(CompatFrame *frame, CompatNamed *fields)
{
    int count = compat_frame_fields(frame, fields);
#if MEMLENS_MINOR >= 11
    fields[count++] = (CompatNamed){"gi_frame", compat_frame_object(frame)};
#endif
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
#if MEMLENS_MINOR == 10
    (void)code, (void)type;
    return 0;
#else
    return offsetof(PyGenObject, gi_iframe) + compat_frame_bytes(code) - (size_t)type->tp_basicsize;
#endif
}

#endif /* MEMLENS_SUPPORTED */
#endif
