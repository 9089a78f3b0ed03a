/* Give arrays to Python without a copy. */
#ifndef MEMLENS_IO_SECTIONS_H
#define MEMLENS_IO_SECTIONS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "base/buffer.h"

/* The type that owns a Buffer and exports it. One for each module:
 * `memlens._core._capture.Section`. */
PyObject *make_section_type(PyObject *module);

/* A read-only memoryview over the buffer, items of `typecode`. Takes the buffer over, on failure
 * too. NULL with an exception set on failure. */
PyObject *section_view(PyTypeObject *section_type, Buffer *buffer, char typecode);

#endif
