/* The nodes of native blocks. */
#ifndef MEMLENS_CAPTURE_NATIVE_NODES_H
#define MEMLENS_CAPTURE_NATIVE_NODES_H

#include "capture/store.h"

/* Add a node for each block that is no part of an object. */
void add_block_nodes(Capture *capture, Buffer *blocks);

#endif
