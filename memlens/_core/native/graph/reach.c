/* What is reached without some nodes, and edges between marked ones: pure/reach.py, on arrays. */
#include "graph/reach.h"

int
reach_without(const Graph *graph, const uint8_t *without, uint8_t *reached)
{
    Buffer memory = {NULL, 0, 0};
    if (buffer_zeros(&memory, (size_t)graph->node_count * sizeof(uint32_t)) < 0) {
        return -1;
    }
    uint32_t *stack = (uint32_t *)memory.data; /* each node is pushed once at most */
    size_t height = 0;
    stack[height++] = 0;
    reached[0] = 1;
    while (height > 0) {
        uint32_t node = stack[--height];
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            uint32_t target = graph->target[edge];
            if (!reached[target] && !without[target] && !edge_is_weak(graph, edge)) {
                reached[target] = 1;
                stack[height++] = target;
            }
        }
    }
    buffer_free(&memory);
    return 0;
}

int
find_between(const Graph *graph, const uint8_t *source, const uint8_t *wanted, Buffer *found)
{
    for (uint32_t node = 0; node < graph->node_count; node++) {
        if (!source[node]) {
            continue;
        }
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            if (wanted[graph->target[edge]] && !edge_is_weak(graph, edge)
                && push_u32(found, (uint32_t)edge) < 0) {
                return -1;
            }
        }
    }
    return 0;
}
