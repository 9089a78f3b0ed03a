/* A captured graph as plain arrays. What computes over it needs no Python object, no GIL and no
 * recursion, so a forked child can run it as well. */
#ifndef MEMLENS_GRAPH_GRAPH_H
#define MEMLENS_GRAPH_GRAPH_H

#include "base/buffer.h"
#include "base/layout.h"


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
    return label_is_weak(graph->label[edge]);
}

#endif
