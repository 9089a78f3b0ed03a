/* Native blocks as nodes. */
#ifndef MEMLENS_CAPTURE_NATIVE_BLOCKS_H
#define MEMLENS_CAPTURE_NATIVE_BLOCKS_H

#include "capture/store.h"

/* Turn the native memory that the walk and the adapters have told of into nodes and edges. To be
 * called after the walk, before the edges are numbered. */
void attach_native(Capture *capture);

/* A native block is garbage where all that hold it are. */
void mark_native_garbage(Capture *capture);

#endif
