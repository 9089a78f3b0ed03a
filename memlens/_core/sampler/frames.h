/* What the sampler reads of CPython: frames, code, line tables.
 *
 * Read inside an allocation, with the interpreter in any state: an exception set, a container half
 * resized, a code object dying. So these functions only read memory. They call nothing of CPython
 * that may allocate, free, take a lock, change a reference count or raise.
 *
 * This file knows nothing of the sampler, and no other file of the sampler knows CPython's versions
 * or the fields of its internal structs. Those of frames are in base/frame_layout.h.
 *
 * SAMPLER_SUPPORTED is 0 where the layouts below are not known; the module then refuses to import. */

#ifndef MEMLENS_SAMPLER_FRAMES_H
#define MEMLENS_SAMPLER_FRAMES_H

#include "base/frame_layout.h"

#define SAMPLER_BUILDS "CPython 3.11 to 3.15 with the GIL"
#define SAMPLER_SUPPORTED FRAME_LAYOUT_KNOWN

#if SAMPLER_SUPPORTED

#include <stdbool.h>

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

/* The code that a frame runs, or NULL for frames that are the interpreter's own (3.12+) or have not
 * begun (their instruction pointer means nothing yet): tracemalloc leaves out the same ones. */
static inline PyCodeObject *
frame_code(CompatFrame *frame)
{
    PyCodeObject *code = compat_frame_code(frame);
    bool has_begun = code != NULL && (compat_is_generator_frame(frame)
                                      || compat_frame_position(frame, code) >= code->_co_firsttraceable);
    return has_begun ? code : NULL;
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
