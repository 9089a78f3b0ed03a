/* The walk: depth first over all references, without recursion. */
#ifndef MEMLENS_CAPTURE_WALK_H
#define MEMLENS_CAPTURE_WALK_H

#include "capture/store.h"

/* Read the object with this index and all that it leads to, unless they have been read. */
void capture_walk(Capture *capture, uint32_t index);

#endif
