/* Immediate dominators and retained sizes. */
#ifndef MEMLENS_GRAPH_DOMINATORS_H
#define MEMLENS_GRAPH_DOMINATORS_H

#include "graph/graph.h"

/* dominator: NODE_NONE for node 0 and for what it does not reach. retained: shallow sizes on entry.
 * Returns -1 when there is no memory. */
int find_dominators(const Graph *graph, uint32_t *dominator, uint64_t *retained);

#endif
