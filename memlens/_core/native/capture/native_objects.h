/* Blocks that are a part of a Python object. */
#ifndef MEMLENS_CAPTURE_NATIVE_OBJECTS_H
#define MEMLENS_CAPTURE_NATIVE_OBJECTS_H

#include "capture/store.h"

/* Find the objects that blocks are a part of, and note them in the blocks. */
void find_block_objects(Capture *capture, Buffer *blocks);

#endif
