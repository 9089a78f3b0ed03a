/* Asking the adapters of libraries, which are Python code, about the memory of objects. */
#ifndef MEMLENS_CAPTURE_MEASURING_H
#define MEMLENS_CAPTURE_MEASURING_H

#include "capture/store.h"

/* For a forked child, as `on_measure`: another process of its own asks, and is killed when it does
 * not come back in time. What it had sent by then counts. */
void measure_apart(Capture *capture, Buffer *chunks);

/* In the program itself, before a capture: put the objects to measure into `facts`, and what the
 * adapters sent into `chunks`. Returns -1 with an exception set on failure. */
int measure_here(Facts *facts, Buffer *chunks);

#endif
