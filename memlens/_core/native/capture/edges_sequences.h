/* Readers of lists, tuples and sets. */
#ifndef MEMLENS_CAPTURE_EDGES_SEQUENCES_H
#define MEMLENS_CAPTURE_EDGES_SEQUENCES_H

#include "capture/store.h"

void list_content(Capture *capture, PyObject *object, const Plan *plan);
void tuple_content(Capture *capture, PyObject *object, const Plan *plan);
void set_content(Capture *capture, PyObject *object, const Plan *plan);

#endif
