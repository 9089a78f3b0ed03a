/* From indices to nodes. */
#ifndef MEMLENS_CAPTURE_NUMBERING_H
#define MEMLENS_CAPTURE_NUMBERING_H

#include "capture/store.h"

/* List the way back: the index of each node. */
void list_indices(Capture *capture);

/* Find where the edges of each node begin, from their counts. */
void add_up_edges(Capture *capture);

/* Turn the targets of edges into nodes. Each strong one explains a reference of its target. */
void number_edges(Capture *capture);

#endif
