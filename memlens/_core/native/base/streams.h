/* Structures of zlib and bzip2, and of the objects around them, that nobody publishes.
 *
 * Another version of a library may have others: capture/native_streams.c reads a state only if it
 * refers back to its stream and its numbers are possible. */
#ifndef MEMLENS_BASE_STREAMS_H
#define MEMLENS_BASE_STREAMS_H

#include "base/compat.h"

#if MEMLENS_SUPPORTED

typedef struct { /* zlib.h: z_stream, up to the state */
    void *next_in;
    unsigned avail_in;
    unsigned long total_in;
    void *next_out;
    unsigned avail_out;
    unsigned long total_out;
    const char *message;
    void *state;
} ZlibStream;

typedef struct { /* Modules/zlibmodule.c: how compobject begins */
    PyObject_HEAD
    ZlibStream stream;
} ZlibObject;

typedef struct { /* Modules/zlibmodule.c: ZlibDecompressor, from 3.12 on */
    PyObject_HEAD
    ZlibStream stream;
    void *functions[3];
    int data_type;
    unsigned long check, reserved; /* where the stream ends */
    PyObject *dictionary;
    void *lock;
    PyObject *unused_data;
    char *input;
    Py_ssize_t input_bytes;
} ZlibReader;

typedef struct { /* deflate.h of zlib 1.2 and 1.3: how deflate_state begins */
    ZlibStream *stream;
    int status;
    char *pending;
    unsigned long pending_bytes;
    char *pending_out;
    unsigned long pending_count;
    int wrap;
    void *header;
    unsigned long header_index;
    unsigned char method;
    int last_flush;
    unsigned window_bytes, window_bits, window_mask;
    char *window;
    unsigned long window_size;
    unsigned short *previous, *head;
    unsigned hash, hash_size, hash_bits, hash_mask;
} DeflateState;

typedef struct { /* inflate.h of zlib from 1.2.9 on: how inflate_state begins */
    ZlibStream *stream;
    int mode, last, wrap, has_dictionary, flags;
    unsigned most_distance;
    unsigned long check, total;
    void *header;
    unsigned window_bits, window_bytes, window_used, window_next;
    char *window;
} InflateState;

enum { INFLATE_STATE_BYTES = 7160, INFLATE_FIRST_MODE = 16180, INFLATE_LAST_MODE = 16211 };

typedef struct { /* bzlib.h: bz_stream, up to the state */
    void *next_in;
    unsigned avail_in, total_in[2];
    void *next_out;
    unsigned avail_out, total_out[2];
    void *state;
} BzipStream;

typedef struct { /* Modules/_bz2module.c: how BZ2Compressor begins */
    PyObject_HEAD
    BzipStream stream;
} BzipObject;

typedef struct { /* Modules/_bz2module.c: BZ2Decompressor */
    PyObject_HEAD
    BzipStream stream;
    void *functions[3]; /* where the stream ends */
    char at_end;
    PyObject *unused_data;
    char needs_input;
    char *input;
    size_t input_bytes;
} BzipReader;

typedef struct { /* bzlib_private.h of bzip2 1.0: how EState begins */
    BzipStream *stream;
    int mode, state;
    unsigned expected;
    unsigned *first, *second, *frequencies;
    int origin;
    void *parts[4];
    int work_factor;
    unsigned character;
    int repeated, random[2], block_used, block_most;
} BzipWriting;
_Static_assert(offsetof(BzipWriting, block_most) == 112, "bzip2 1.0");

typedef struct { /* bzlib_private.h of bzip2 1.0: how DState begins */
    BzipStream *stream;
    int state;
    unsigned char character;
    int repeated;
    unsigned char is_random;
    int random[2];
    unsigned bits;
    int bit_count, hundred_thousands;
    unsigned char is_small;
    int numbers[3 + 2 + 256 + 1 + 2 * 257];
    unsigned *block;
} BzipReading;
_Static_assert(offsetof(BzipReading, hundred_thousands) == 40, "bzip2 1.0");
_Static_assert(offsetof(BzipReading, block) == 3152, "bzip2 1.0");

/* The state itself; what a compressor has beside its two arrays of a block: a table of frequencies,
 * and what the second array has more. */
enum {
    BZIP_WRITING_BYTES = 55768,
    BZIP_TABLE_BYTES = 65537 * 4 + 34 * 4,
    BZIP_READING_BYTES = 64144
};

enum { DEFLATE_STATE_BYTES = 5936, DEFLATE_METHOD = 8 };

#endif /* MEMLENS_SUPPORTED */
#endif
