/* The computations over a captured graph, on plain arrays: no Python object, no GIL, no recursion.
 * A forked child runs them as well. All return -1 when there is no memory. */
#ifndef MEMLENS_GRAPH_H
#define MEMLENS_GRAPH_H

#include "buffer.h"

#include <stdint.h>

#define NODE_NONE UINT32_MAX
#define LABEL_BITS 3
#define KIND_MASK ((1u << LABEL_BITS) - 1)
#define KIND_WEAK 6u

/* Compressed rows; every row lies within the arrays and every target is a node (see columns.c). */
typedef struct {
    uint32_t node_count; /* at least one */
    uint64_t edge_count;
    const uint64_t *offset;
    const uint32_t *target;
    const uint32_t *label;
} Graph;

static inline int
edge_is_weak(const Graph *graph, uint64_t edge)
{
    return (graph->label[edge] & KIND_MASK) == KIND_WEAK;
}

/* dominator: NODE_NONE for node 0 and for what it does not reach. retained: shallow sizes on entry. */
int find_dominators(const Graph *graph, uint32_t *dominator, uint64_t *retained);

/* in_offset: node_count + 1 entries. Fills in_source with the strong referrers of each node. */
int count_referrers(const Graph *graph, uint64_t *in_offset);
int fill_referrers(const Graph *graph, const uint64_t *in_offset, uint32_t *in_source);

/* first_edge: for each node the edge by which it was first reached, or NODE_NONE. */
int find_shortest_paths(const Graph *graph, const uint8_t *root_tier, uint32_t *first_edge);

#endif
