/* Readers of frames and generators. */
#ifndef MEMLENS_CAPTURE_EDGES_FRAMES_H
#define MEMLENS_CAPTURE_EDGES_FRAMES_H

#include "capture/store.h"

void frame_content(Capture *capture, PyObject *object, const Plan *plan);
void generator_content(Capture *capture, PyObject *object, const Plan *plan);

#endif
