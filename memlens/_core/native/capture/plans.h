/* One plan for each type: how to read its objects. */
#ifndef MEMLENS_CAPTURE_PLANS_H
#define MEMLENS_CAPTURE_PLANS_H

#include "capture/store.h"

/* The row of a type in the table of plans; made when the type is first seen. */
uint32_t plan_row(Capture *capture, PyTypeObject *type);

#endif
