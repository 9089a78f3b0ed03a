/* Names for objects that the interpreter holds in places that Python code cannot see. */
#ifndef MEMLENS_CAPTURE_INTERPRETER_NAMES_H
#define MEMLENS_CAPTURE_INTERPRETER_NAMES_H

#include "capture/store.h"

/* What the interpreter calls this object, or NULL. */
const char *interpreter_name(const Capture *capture, PyObject *object);

#endif
