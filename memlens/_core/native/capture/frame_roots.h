/* Roots of running frames. */
#ifndef MEMLENS_CAPTURE_FRAME_ROOTS_H
#define MEMLENS_CAPTURE_FRAME_ROOTS_H

#include "capture/store.h"

/* Add a root for each running frame of a thread, except those of memlens itself. */
void add_frames_of(Capture *capture, PyThreadState *thread);

#endif
