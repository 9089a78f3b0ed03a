/* A whole capture, from the roots to the flags of garbage. */
#ifndef MEMLENS_CAPTURE_RUN_H
#define MEMLENS_CAPTURE_RUN_H

#include "capture/store.h"

/* Capture into a store that capture_init has made. Returns -1 when there is no memory. */
int capture_run(Capture *capture);

#endif
