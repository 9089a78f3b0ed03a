/* Structures of C types that CPython and numpy do not publish.
 *
 * capture/types.c compares their sizes: a type with a smaller basic size is not read by them. */
#ifndef MEMLENS_BASE_STRUCTURES_H
#define MEMLENS_BASE_STRUCTURES_H

#include "base/compat.h"

#if MEMLENS_SUPPORTED

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable" /* its pointer to functions; the structures are enough */
#include <datetime.h>
#pragma GCC diagnostic pop

enum { DEQUE_BLOCK_ITEMS = 64, DEQUE_BLOCK_BYTES = (64 + 2) * 8 };

typedef struct DequeBlock { /* Modules/_collectionsmodule.c */
    struct DequeBlock *left;
    PyObject *items[DEQUE_BLOCK_ITEMS];
    struct DequeBlock *right;
} DequeBlock;

typedef struct {
    PyObject_VAR_HEAD
    DequeBlock *leftblock, *rightblock;
    Py_ssize_t leftindex, rightindex;
    size_t state;
    Py_ssize_t maxlen;
} Deque;

typedef struct LruLink { /* Modules/_functoolsmodule.c */
    PyObject_HEAD
    struct LruLink *previous, *next;
    Py_hash_t hash;
    PyObject *key, *result;
} LruLink;

typedef struct {
    LruLink root; /* its type and count are the cache's own */
    void *wrapper;
    int typed;
    PyObject *cache;
    Py_ssize_t hits;
    PyObject *function;
    Py_ssize_t maxsize;
} LruCache;

typedef struct { /* Modules/arraymodule.c */
    PyObject_VAR_HEAD
    char *items;
    Py_ssize_t allocated;
    const struct {
        char typecode;
        int item_bytes;
    } *description;
} PlainArray;

typedef struct { /* Modules/_io/bytesio.c */
    PyObject_HEAD
    PyObject *text;
} BytesBuffer;

typedef struct { /* Modules/_io/stringio.c of 3.11 */
    PyObject_HEAD
    Py_UCS4 *characters;
    Py_ssize_t position, length;
    size_t capacity;
    int state;
    PyObject *joined, *pieces; /* lists of what was written, while nothing was read */
    char flags[4];
    PyObject *decoder, *read_newline, *write_newline;
} TextBuffer;

typedef struct { /* Modules/_io/stringio.c: how every version begins */
    PyObject_HEAD
    Py_UCS4 *characters; /* where it was read or written in the middle */
    Py_ssize_t position, length;
    size_t capacity;
    int state;
} TextBufferHead;

enum { TEXT_REALIZED = 1, TEXT_ACCUMULATING = 2 };

typedef struct { /* Modules/_io/bufferedio.c: the same from 3.11 to 3.15 */
    PyObject_HEAD
    PyObject *raw;
    int ok, detached, readable, writable;
    char finalizing;
    int checks_closed;
    off_t position;
    char *buffer;
    off_t buffer_position, raw_position, read_end, write_position, write_end;
    void *lock;
    unsigned long owner;
    Py_ssize_t buffer_bytes, buffer_mask; /* 0 unless the size is a power of two */
    PyObject *dict, *weak_references;
} BufferedFile;

typedef struct { /* numpy/ndarraytypes.h: the same in numpy 1 and 2 */
    PyObject_HEAD
    char *data;
    int dimensions;
    Py_ssize_t *shape, *strides;
    PyObject *base;
    PyObject *dtype;
    int flags;
} Array;

typedef struct {
    PyObject_HEAD
    PyTypeObject *type;
    char kind, code, byteorder, former_flags;
    int type_number;
    int item_bytes_1;         /* numpy 1 */
    int alignment_1;
    Py_ssize_t item_bytes_2;  /* numpy 2, after 64 bits of flags */
} ArrayType;
_Static_assert(offsetof(ArrayType, item_bytes_1) == 32, "numpy 1");
_Static_assert(offsetof(ArrayType, item_bytes_2) == 40, "numpy 2");

typedef struct { /* Modules/_ctypes/ctypes.h */
    PyObject_HEAD
    char *pointer;
    int needs_free;
    void *base;
    Py_ssize_t bytes, length, index;
    PyObject *objects;
    union {
        long double number; /* small values are a part of the object */
        char characters[16];
    } value;
} ForeignData;

typedef struct { /* Modules/mmapmodule.c */
    PyObject_HEAD
    char *data;
    Py_ssize_t bytes, position;
    off_t offset;
    Py_ssize_t exports;
    int descriptor; /* -1: anonymous memory */
} Mapping;

enum { ARRAY_C_ORDER = 1, ARRAY_F_ORDER = 2, ARRAY_OWNS_DATA = 4, ARRAY_OF_OBJECTS = 17 };

#endif /* MEMLENS_SUPPORTED */
#endif
