/* What is reached without some nodes, and edges between marked ones. */
#ifndef MEMLENS_GRAPH_REACH_H
#define MEMLENS_GRAPH_REACH_H

#include "graph/graph.h"

/* All return -1 when there is no memory. */

/* reached: node_count zeros, which become 1 for what node 0 reaches without the marked nodes. */
int reach_without(const Graph *graph, const uint8_t *without, uint8_t *reached);

/* Push, as u32, the strong edges from a node marked in `source` to one marked in `wanted`. */
int find_between(const Graph *graph, const uint8_t *source, const uint8_t *wanted, Buffer *found);

#endif
