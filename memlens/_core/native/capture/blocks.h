/* Which of the sampled memory blocks are the buffers of which objects. */
#ifndef MEMLENS_CAPTURE_BLOCKS_H
#define MEMLENS_CAPTURE_BLOCKS_H

#include "capture/store.h"

/* Prepare the lookup of the blocks in the facts. */
void prepare_blocks(Capture *capture);

/* Note each block that the object owns beside itself: the items of a list, the table of a dict. */
void note_blocks(Capture *capture, PyObject *object, const Plan *plan);

#endif
