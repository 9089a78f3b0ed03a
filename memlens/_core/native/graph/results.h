/* Results as array.array, as the reference gives them. */
#ifndef MEMLENS_GRAPH_RESULTS_H
#define MEMLENS_GRAPH_RESULTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "base/buffer.h"

typedef struct {
    PyObject *array; /* an array.array; NULL after a failure */
    Py_buffer view;  /* of its items, writable */
} Result;

/* An array of `length` zeros. Returns -1 with an exception set on failure. */
int result_new(Result *result, PyObject *array_type, char typecode, Py_ssize_t length);

/* Release the buffer and return the array, which the caller then owns. */
PyObject *result_take(Result *result);

/* Release everything. Does nothing after result_take and for a Result of zeros. */
void result_drop(Result *result);

/* An array of the u32 in `found`, which is freed. A MemoryError if `failed`. */
PyObject *result_of_numbers(PyObject *array_type, Buffer *found, int failed);

#endif
