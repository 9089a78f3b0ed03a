/* The object fields of C types that have names. */
#ifndef MEMLENS_CAPTURE_FIELDS_H
#define MEMLENS_CAPTURE_FIELDS_H

#include "capture/store.h"

/* Find the fields of the plan's C type and its bases: members, and what types.c names. */
void find_fields(Capture *capture, Plan *plan);

/* Add those of the members that hold objects. A count of -1: up to the one without a name. */
void add_member_fields(Capture *capture, const PyMemberDef *member, Py_ssize_t count, unsigned kind);

#endif
