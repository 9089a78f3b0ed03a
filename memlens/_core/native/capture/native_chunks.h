/* What the adapters of libraries send about the memory of their objects. */
#ifndef MEMLENS_CAPTURE_NATIVE_CHUNKS_H
#define MEMLENS_CAPTURE_NATIVE_CHUNKS_H

#include "capture/store.h"

/* Ask the adapters, if there is anything to ask, and note the memory that they tell of. */
void read_measured(Capture *capture);

#endif
