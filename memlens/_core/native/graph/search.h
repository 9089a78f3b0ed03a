/* Referrers and shortest paths. */
#ifndef MEMLENS_GRAPH_SEARCH_H
#define MEMLENS_GRAPH_SEARCH_H

#include "graph/graph.h"

/* in_offset: node_count + 1 entries. */
void count_referrers(const Graph *graph, uint64_t *in_offset);

/* Fill in_source with the strong referrers of each node. */
void fill_referrers(const Graph *graph, uint64_t *in_offset, uint32_t *in_source);

/* first_edge: for each node the edge by which it was first reached, or NODE_NONE. Returns -1 when
 * there is no memory. */
int find_shortest_paths(const Graph *graph, const uint8_t *root_tier, uint32_t *first_edge);

#endif
