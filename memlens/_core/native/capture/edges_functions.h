/* Readers of functions, code objects, cells, bound methods and weak references. */
#ifndef MEMLENS_CAPTURE_EDGES_FUNCTIONS_H
#define MEMLENS_CAPTURE_EDGES_FUNCTIONS_H

#include "capture/store.h"

void function_content(Capture *capture, PyObject *object, const Plan *plan);
void code_object_content(Capture *capture, PyObject *object, const Plan *plan);
void cell_content(Capture *capture, PyObject *object, const Plan *plan);
void method_content(Capture *capture, PyObject *object, const Plan *plan);
void weakref_content(Capture *capture, PyObject *object, const Plan *plan);

#endif
