/* Names for what the interpreter holds without a name that can be asked for. */
#ifndef MEMLENS_CAPTURE_INTERPRETER_NAMES_H
#define MEMLENS_CAPTURE_INTERPRETER_NAMES_H

#include "capture/store.h"

/* What the interpreter calls this object, or NULL. */
const char *interpreter_name(const Capture *capture, PyObject *object);

#endif
