/* Readers of plain values: no references, but bytes of their own. */
#ifndef MEMLENS_CAPTURE_EDGES_VALUES_H
#define MEMLENS_CAPTURE_EDGES_VALUES_H

#include "capture/store.h"

void refers_to_nothing(Capture *capture, PyObject *object, const Plan *plan);
void str_content(Capture *capture, PyObject *object, const Plan *plan);
void int_content(Capture *capture, PyObject *object, const Plan *plan);
void bytearray_content(Capture *capture, PyObject *object, const Plan *plan);

#endif
