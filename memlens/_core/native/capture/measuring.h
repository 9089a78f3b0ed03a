/* Asking the adapters of libraries, which are Python code, about the memory of objects. */
#ifndef MEMLENS_CAPTURE_MEASURING_H
#define MEMLENS_CAPTURE_MEASURING_H

#include "capture/store.h"

/* For a forked child, as `on_measure`: another process of its own asks, and is killed when it does
 * not come back in time. What it had sent by then counts. */
void measure_apart(Capture *capture, Buffer *chunks);

/* In the program itself, as `on_measure`: end this capture, whose `listener` is a PyObject *, and set
 * that to the list of the objects to measure (or to NULL with an exception set). The adapters are
 * Python code and may change the heap. A heap without such objects is captured in one go. */
void stop_to_measure(Capture *capture, Buffer *chunks);

/* Ask the adapters about these objects, and put what they sent into `chunks` and both into the facts
 * of the next capture. Returns -1 with an exception set on failure. */
int measure_here(Facts *facts, PyObject *objects, Buffer *chunks);

#endif
