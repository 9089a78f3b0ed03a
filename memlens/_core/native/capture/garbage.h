/* Unreachable objects. */
#ifndef MEMLENS_CAPTURE_GARBAGE_H
#define MEMLENS_CAPTURE_GARBAGE_H

#include "capture/store.h"

/* Flag what no root leads to. The targets of edges must be nodes. */
void mark_garbage(Capture *capture);

#endif
