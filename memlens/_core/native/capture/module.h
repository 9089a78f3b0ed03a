/* The state of memlens._core._capture: nothing of it is global. */
#ifndef MEMLENS_CAPTURE_MODULE_H
#define MEMLENS_CAPTURE_MODULE_H

#include "base/compat.h"

typedef struct {
    PyObject *section_type; /* sections.c */
    traverseproc python_traverse; /* of every class that a class statement makes */
} ModuleState;

static inline ModuleState *
module_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* capture_function.c, fork.c */
PyObject *capture_capture(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *capture_fork_capture(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *capture_wait_with_gil(PyObject *module, PyObject *args, PyObject *kwargs);

#endif
