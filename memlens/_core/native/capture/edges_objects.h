/* Readers of instances, and of the objects of C types that are not known one by one. */
#ifndef MEMLENS_CAPTURE_EDGES_OBJECTS_H
#define MEMLENS_CAPTURE_EDGES_OBJECTS_H

#include "capture/store.h"

/* The attributes of an instance, and its __slots__. */
void add_attributes(Capture *capture, PyObject *object, const Plan *plan);
void add_slots(Capture *capture, PyObject *object, const Plan *plan);

/* All that tp_traverse shows; the fields that the plan lists have names. */
void generic_content(Capture *capture, PyObject *object, const Plan *plan);

/* The same for a C type built upon one that is known, such as defaultdict upon dict. */
void derived_content(Capture *capture, PyObject *object, const Plan *plan);

#endif
