/* The places of nodes: their paths from a root, with keys and positions as wildcards. */
#ifndef MEMLENS_GRAPH_PLACES_H
#define MEMLENS_GRAPH_PLACES_H

#include "graph/graph.h"

typedef struct {
    const uint64_t *offset; /* of the edges of each node, node_count + 1 entries */
    const uint32_t *target, *label;
    const uint32_t *path; /* of each node, the last edge of its path */
    const uint32_t *type;
    const uint64_t *string_key, *type_key, *root_key;
    const uint32_t *anchor; /* ascending */
    const uint64_t *anchor_key;
    uint32_t node_count, anchor_count;
    uint32_t namespace_label;
} PlaceInput;

/* keys, repeats: an entry for each node, all 0. Returns -1 when there is no memory. */
int find_places(const PlaceInput *input, uint64_t *keys, uint8_t *repeats);

#endif
