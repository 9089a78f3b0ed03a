/* Edges to native blocks. */
#ifndef MEMLENS_CAPTURE_NATIVE_EDGES_H
#define MEMLENS_CAPTURE_NATIVE_EDGES_H

#include "capture/store.h"

/* List the edges that the rows stand for, in the order of owners. */
void list_block_edges(Capture *capture, const Buffer *placed, const Buffer *blocks,
                      const Buffer *block_of_row, Buffer *edges);

/* Insert these edges among those of the walk. */
void add_block_edges(Capture *capture, Buffer *edges, const Buffer *blocks);

#endif
