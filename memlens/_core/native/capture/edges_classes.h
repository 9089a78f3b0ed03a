/* Readers of classes and modules. */
#ifndef MEMLENS_CAPTURE_EDGES_CLASSES_H
#define MEMLENS_CAPTURE_EDGES_CLASSES_H

#include "capture/store.h"

void type_content(Capture *capture, PyObject *object, const Plan *plan);
void module_content(Capture *capture, PyObject *object, const Plan *plan);

#endif
