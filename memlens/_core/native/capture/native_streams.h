/* The memory of compressors and decompressors. */
#ifndef MEMLENS_CAPTURE_NATIVE_STREAMS_H
#define MEMLENS_CAPTURE_NATIVE_STREAMS_H

#include "capture/store.h"

void deflate_memory(Capture *capture, PyObject *object);     /* zlib.Compress */
void inflate_memory(Capture *capture, PyObject *object);     /* zlib.Decompress */
void zlib_reader_memory(Capture *capture, PyObject *object); /* zlib._ZlibDecompressor */
void bzip_memory(Capture *capture, PyObject *object);        /* BZ2Compressor */
void bzip_reader_memory(Capture *capture, PyObject *object); /* BZ2Decompressor */

#endif
