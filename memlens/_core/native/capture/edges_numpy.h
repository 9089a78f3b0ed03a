/* The reader of numpy arrays. */
#ifndef MEMLENS_CAPTURE_EDGES_NUMPY_H
#define MEMLENS_CAPTURE_EDGES_NUMPY_H

#include "capture/store.h"

void ndarray_content(Capture *capture, PyObject *object, const Plan *plan);

#endif
