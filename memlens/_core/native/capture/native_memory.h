/* Native memory that objects of known types hold. */
#ifndef MEMLENS_CAPTURE_NATIVE_MEMORY_H
#define MEMLENS_CAPTURE_NATIVE_MEMORY_H

#include "capture/store.h"

void foreign_data_memory(Capture *capture, PyObject *object); /* ctypes */
void mapping_memory(Capture *capture, PyObject *object);      /* mmap */
void exported_memory(Capture *capture, PyObject *object);     /* what a memoryview shows */
void array_view_memory(Capture *capture, PyObject *object);   /* numpy */

/* The buffer of a file, which is part of its own size. */
void file_buffer_memory(Capture *capture, PyObject *object);

/* The text of a StringIO, which is part of its own size. */
void text_buffer_memory(Capture *capture, PyObject *object);

/* The memory that the contents of an object of a built-in type take, as part of its own size:
 * 0 where there is none. */
int own_contents(const Capture *capture, PyObject *object, const Plan *plan, uint64_t *start,
                 uint64_t *end);

#endif
