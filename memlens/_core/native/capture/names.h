/* The names of types, and which types, modules and code belong to memlens itself. */
#ifndef MEMLENS_CAPTURE_NAMES_H
#define MEMLENS_CAPTURE_NAMES_H

#include "capture/store.h"

/* The number of the string "module.qualname". */
uint32_t type_name(Capture *capture, PyTypeObject *type);

PyObject *type_module(PyTypeObject *type); /* a str, or NULL */

int type_is_own(const Capture *capture, PyTypeObject *type);
int module_is_own(const Capture *capture, PyObject *name);
int code_is_own(const Capture *capture, PyCodeObject *code);

#endif
