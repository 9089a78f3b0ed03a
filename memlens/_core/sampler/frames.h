/* Everything of the sampler that depends on the CPython minor version: frames, code, line tables.
 *
 * Read inside an allocation, with the interpreter in any state: an exception set, a container half
 * resized, a code object dying. So these functions only read memory. They call nothing of CPython
 * that may allocate, free, take a lock, change a reference count or raise.
 *
 * This file knows nothing of the sampler, and no other file of the sampler knows CPython's versions
 * or the fields of its internal structs.
 *
 * SAMPLER_SUPPORTED is 0 where the layouts below are not known; the module then refuses to import. */

#ifndef MEMLENS_SAMPLER_FRAMES_H
#define MEMLENS_SAMPLER_FRAMES_H

#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE 1 /* the layout of interpreter frames is internal */
#endif
#include <Python.h>

#define SAMPLER_BUILDS "CPython 3.11 to 3.15 with the GIL"

#if defined(Py_GIL_DISABLED) || PY_VERSION_HEX < 0x030B0000 || PY_VERSION_HEX >= 0x03100000
#define SAMPLER_SUPPORTED 0
#else
#define SAMPLER_SUPPORTED 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "internal/pycore_frame.h"
#if PY_VERSION_HEX >= 0x030E0000
#include "internal/pycore_interpframe.h"
#endif

typedef _PyInterpreterFrame Frame;

/* The layouts that were read and tested. Another one must not compile. */
#if PY_VERSION_HEX >= 0x030E0000
_Static_assert(offsetof(Frame, f_executable) == 0, "frame of CPython 3.14 and 3.15");
_Static_assert(offsetof(Frame, previous) == sizeof(void *), "frame of CPython 3.14 and 3.15");
_Static_assert(offsetof(Frame, instr_ptr) == 7 * sizeof(void *), "frame of CPython 3.14 and 3.15");
_Static_assert(FRAME_OWNED_BY_INTERPRETER == 3, "frame of CPython 3.14 and 3.15");
_Static_assert(Py_TAG_REFCNT == 1 && Py_TAG_BITS == 3, "references of CPython 3.14 and 3.15");
#elif PY_VERSION_HEX >= 0x030D0000
_Static_assert(offsetof(Frame, f_executable) == 0, "frame of CPython 3.13");
_Static_assert(offsetof(Frame, previous) == sizeof(void *), "frame of CPython 3.13");
_Static_assert(offsetof(Frame, instr_ptr) == 7 * sizeof(void *), "frame of CPython 3.13");
_Static_assert(FRAME_OWNED_BY_CSTACK == 3, "frame of CPython 3.13");
#elif PY_VERSION_HEX >= 0x030C0000
_Static_assert(offsetof(Frame, f_code) == 0, "frame of CPython 3.12");
_Static_assert(offsetof(Frame, previous) == sizeof(void *), "frame of CPython 3.12");
_Static_assert(offsetof(Frame, prev_instr) == 7 * sizeof(void *), "frame of CPython 3.12");
_Static_assert(FRAME_OWNED_BY_CSTACK == 3, "frame of CPython 3.12");
#else
_Static_assert(offsetof(Frame, f_code) == 4 * sizeof(void *), "frame of CPython 3.11");
_Static_assert(offsetof(Frame, previous) == 6 * sizeof(void *), "frame of CPython 3.11");
_Static_assert(offsetof(Frame, prev_instr) == 7 * sizeof(void *), "frame of CPython 3.11");
#endif
_Static_assert(sizeof(_Py_CODEUNIT) == 2, "line tables count code units of two bytes");

/* Whether the Python that runs has the layouts that this was compiled with. */
static inline bool
is_built_for_this_python(void)
{
    return Py_Version >> 16 == PY_VERSION_HEX >> 16;
}

/* The thread state of the thread that runs this, or NULL: it may hold no thread state at all. */
static inline PyThreadState *
thread_state_here(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyThreadState *tstate = PyThreadState_GetUnchecked();
#else
    PyThreadState *tstate = _PyThreadState_UncheckedGet();
#endif
    /* Up to 3.11 this is whoever holds the GIL. An extension that allocates without it must not be
     * charged with that thread's stack, nor read it while it changes. */
    if (tstate != NULL && tstate->thread_id != PyThread_get_thread_ident()) {
        return NULL;
    }
    return tstate;
}

/* A number that no other thread state of this process gets: thread identifiers are used again. */
static inline uint64_t
thread_state_number(PyThreadState *tstate)
{
    uint64_t interpreter = (uint64_t)PyInterpreterState_GetID(tstate->interp);
    return (interpreter << 48) | (tstate->id & UINT64_C(0xffffffffffff));
}

/* What `threading.get_ident()` returns in the thread of this thread state. */
static inline uint64_t
thread_state_ident(PyThreadState *tstate)
{
    return tstate->thread_id;
}

static inline Frame *
frame_innermost(PyThreadState *tstate)
{
#if PY_VERSION_HEX >= 0x030D0000
    return tstate->current_frame;
#else
    return tstate->cframe != NULL ? tstate->cframe->current_frame : NULL;
#endif
}

static inline Frame *
frame_caller(Frame *frame)
{
    return frame->previous;
}

/* The code that a frame runs, or NULL for frames that are the interpreter's own (3.12+) or have not
 * begun (their instruction pointer means nothing yet): tracemalloc leaves out the same ones. */
static inline PyCodeObject *
frame_code(Frame *frame)
{
#if PY_VERSION_HEX >= 0x030E0000
    uintptr_t held = frame->f_executable.bits;
    PyObject *executable = (PyObject *)(held & ~(uintptr_t)Py_TAG_BITS);
    if (frame->owner >= FRAME_OWNED_BY_INTERPRETER || (held & 2) != 0 ||
        executable == NULL || !PyCode_Check(executable)) {
        return NULL;
    }
    PyCodeObject *code = (PyCodeObject *)executable;
    bool begun = frame->owner == FRAME_OWNED_BY_GENERATOR ||
                 frame->instr_ptr >= _PyCode_CODE(code) + code->_co_firsttraceable;
    return begun ? code : NULL;
#elif PY_VERSION_HEX >= 0x030D0000
    if (frame->owner == FRAME_OWNED_BY_CSTACK || frame->f_executable == NULL ||
        !PyCode_Check(frame->f_executable)) {
        return NULL;
    }
    PyCodeObject *code = (PyCodeObject *)frame->f_executable;
    bool begun = frame->owner == FRAME_OWNED_BY_GENERATOR ||
                 frame->instr_ptr >= _PyCode_CODE(code) + code->_co_firsttraceable;
    return begun ? code : NULL;
#else
#if PY_VERSION_HEX >= 0x030C0000
    if (frame->owner == FRAME_OWNED_BY_CSTACK) {
        return NULL;
    }
#endif
    PyCodeObject *code = frame->f_code;
    if (code == NULL) {
        return NULL;
    }
    bool begun = frame->owner == FRAME_OWNED_BY_GENERATOR ||
                 frame->prev_instr >= _PyCode_CODE(code) + code->_co_firsttraceable;
    return begun ? code : NULL;
#endif
}

/* Which code unit runs; -1 before the first. */
static inline int
frame_position(Frame *frame, PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (int)(frame->instr_ptr - _PyCode_CODE(code));
#else
    return (int)(frame->prev_instr - _PyCode_CODE(code));
#endif
}

static inline PyObject *
code_function_name(PyCodeObject *code)
{
    return code->co_qualname;
}


static uint32_t
read_varint(const uint8_t **cursor, const uint8_t *end)
{
    uint32_t value = 0;
    for (int shift = 0; *cursor < end && shift < 30; shift += 6) {
        uint8_t byte = *(*cursor)++;
        value |= (uint32_t)(byte & 63) << shift;
        if (!(byte & 64)) {
            break;
        }
    }
    return value;
}

static int
read_signed_varint(const uint8_t **cursor, const uint8_t *end)
{
    uint32_t value = read_varint(cursor, end);
    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

/* Format: Objects/locations.md of CPython. An entry begins with a byte 1cccclll: kind c, length in
 * code units l + 1. What follows is skipped by looking for the next byte with the high bit set. */
static int
line_table_lookup(const uint8_t *cursor, const uint8_t *end, int line, int position)
{
    int covered = 0; /* code units */
    while (cursor < end) {
        uint8_t head = *cursor++;
        int kind = (head >> 3) & 15;
        if (kind == 13 || kind == 14) {
            line += read_signed_varint(&cursor, end);
        }
        else if (kind >= 10 && kind <= 12) {
            line += kind - 10;
        }
        covered += (head & 7) + 1;
        if (position < covered) {
            return kind == 15 ? 0 : line;
        }
        while (cursor < end && !(*cursor & 128)) {
            cursor++;
        }
    }
    return 0;
}


/* The line of a code unit; 0 where the code states none. */
static int
code_line(PyCodeObject *code, int position)
{
    if (position < 0) {
        return code->co_firstlineno;
    }
    PyObject *table = code->co_linetable;
    if (table == NULL || !PyBytes_CheckExact(table)) {
        return 0;
    }
    const uint8_t *start = (const uint8_t *)PyBytes_AS_STRING(table);
    int line = line_table_lookup(start, start + Py_SIZE(table), code->co_firstlineno, position);
    return line > 0 ? line : 0;
}

/* Characters of a str, without making anything of it. False: not a ready string (3.11). */
typedef struct {
    const void *data;
    int kind;
    Py_ssize_t length;
} Text;

static inline bool
text_of(PyObject *string, Text *text)
{
    if (string == NULL || !PyUnicode_Check(string)) {
        return false;
    }
#if PY_VERSION_HEX < 0x030C0000
    if (!PyUnicode_IS_READY(string)) {
        return false;
    }
#endif
    text->data = PyUnicode_DATA(string);
    text->kind = (int)PyUnicode_KIND(string);
    text->length = PyUnicode_GET_LENGTH(string);
    return true;
}

#endif /* SAMPLER_SUPPORTED */
#endif
