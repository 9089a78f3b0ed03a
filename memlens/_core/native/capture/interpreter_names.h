/* Names for objects that the interpreter holds in places that Python code cannot see. */
#ifndef MEMLENS_CAPTURE_INTERPRETER_NAMES_H
#define MEMLENS_CAPTURE_INTERPRETER_NAMES_H

#include "capture/store.h"

enum { INTERPRETER_OBJECTS = 9 };

/* The objects that the interpreter's structures refer to, looked up once for a capture. */
typedef struct {
    struct {
        PyObject *object;
        const char *name;
    } known[INTERPRETER_OBJECTS];
} InterpreterNames;

void find_interpreter_names(const Capture *capture, InterpreterNames *names);

/* What the interpreter calls this object, or NULL. */
const char *interpreter_name(const Capture *capture, const InterpreterNames *names,
                             PyObject *object);

#endif
