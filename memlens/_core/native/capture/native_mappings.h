/* Blocks that are mappings: what they map, and how much of it is resident. */
#ifndef MEMLENS_CAPTURE_NATIVE_MAPPINGS_H
#define MEMLENS_CAPTURE_NATIVE_MAPPINGS_H

#include "capture/store.h"

/* Correct the devices of blocks that lie in a mapped file or in shared memory, and note which part of
 * each is resident, where the system tells it: Linux does. The blocks of the host come first, by address. */
void measure_mappings(Capture *capture, Buffer *blocks);

#endif
