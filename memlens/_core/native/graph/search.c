/* Referrers and shortest paths: pure/search.py, on arrays. */
#include "graph/search.h"

#include <string.h>

void
count_referrers(const Graph *graph, uint64_t *in_offset)
{
    memset(in_offset, 0, ((size_t)graph->node_count + 1) * sizeof(uint64_t));
    for (uint64_t edge = 0; edge < graph->edge_count; edge++) {
        in_offset[graph->target[edge] + 1] += !edge_is_weak(graph, edge);
    }
    for (uint32_t node = 0; node < graph->node_count; node++) {
        in_offset[node + 1] += in_offset[node];
    }
}

/* Each row is filled from its end, with the sources from the last down: so its offset, which begins
 * as the end of the row, is its start when the row is full. */
void
fill_referrers(const Graph *graph, uint64_t *in_offset, uint32_t *in_source)
{
    memmove(in_offset, in_offset + 1, (size_t)graph->node_count * sizeof(uint64_t));
    for (uint32_t node = graph->node_count; node-- > 0;) {
        for (uint64_t edge = graph->offset[node + 1]; edge-- > graph->offset[node];) {
            if (!edge_is_weak(graph, edge)) {
                in_source[--in_offset[graph->target[edge]]] = node;
            }
        }
    }
}

static uint32_t
search_breadth_first(const Graph *graph, uint32_t *queue, uint32_t first, uint32_t found,
                     uint32_t *first_edge)
{
    for (uint32_t at = first; at < found; at++) {
        uint32_t node = queue[at];
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            uint32_t target = graph->target[edge];
            if (first_edge[target] == NODE_NONE && target != 0 && !edge_is_weak(graph, edge)) {
                first_edge[target] = (uint32_t)edge;
                queue[found++] = target;
            }
        }
    }
    return found;
}

int
find_shortest_paths(const Graph *graph, const uint8_t *root_tier, uint32_t *first_edge)
{
    Buffer memory = {NULL, 0, 0};
    if (buffer_zeros(&memory, (size_t)graph->node_count * sizeof(uint32_t)) < 0) {
        return -1;
    }
    uint32_t *queue = (uint32_t *)memory.data;
    uint32_t found = 0;
    uint64_t roots = graph->offset[1];
    uint8_t tier_is_used[256] = {0};
    for (uint64_t root = 0; root < roots; root++) {
        tier_is_used[root_tier[root]] = 1;
    }
    memset(first_edge, 0xff, (size_t)graph->node_count * sizeof(uint32_t));
    for (int tier = 0; tier < 256; tier++) {
        uint32_t first = found;
        for (uint64_t root = 0; tier_is_used[tier] && root < roots; root++) {
            uint32_t target = graph->target[root];
            if (root_tier[root] == tier && target != 0 && first_edge[target] == NODE_NONE
                && !edge_is_weak(graph, root)) {
                first_edge[target] = (uint32_t)root;
                queue[found++] = target;
            }
        }
        found = search_breadth_first(graph, queue, first, found, first_edge);
    }
    buffer_free(&memory);
    return 0;
}
