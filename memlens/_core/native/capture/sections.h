/* From a finished capture to the sections of memlens/_core/layout.py. */
#ifndef MEMLENS_CAPTURE_SECTIONS_H
#define MEMLENS_CAPTURE_SECTIONS_H

#include "capture/store.h"
#include "graph/graph.h"

/* Turn a finished capture into its sections, SECTION_COUNT of them. -1: no memory, nothing
 * taken. */
int take_sections(Capture *capture, Buffer *sections);
void free_sections(Buffer *sections);
Graph sections_graph(const Buffer *sections);

#endif
