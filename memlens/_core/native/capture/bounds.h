/* The caps that owners of containers state. */
#ifndef MEMLENS_CAPTURE_BOUNDS_H
#define MEMLENS_CAPTURE_BOUNDS_H

#include "capture/store.h"

void find_owner_bounds(Capture *capture);

#endif
