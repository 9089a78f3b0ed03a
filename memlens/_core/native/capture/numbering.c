/* From indices to nodes. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/numbering.h"

void
list_indices(Capture *capture)
{
    const uint32_t *node_of = ITEMS(capture->node_of, uint32_t);
    if (buffer_zeros(&capture->node_index, capture->node_count * sizeof(uint32_t)) < 0) {
        capture->failed = 1;
        return;
    }
    for (uint32_t index = 0; index < capture->index_count; index++) {
        ITEMS(capture->node_index, uint32_t)[node_of[index]] = index;
    }
}

void
add_up_edges(Capture *capture)
{
    size_t at_long = 0;
    uint64_t end = 0;
    if (buffer_zeros(&capture->edge_offset, capture->node_count * sizeof(uint64_t)) < 0) {
        capture->failed = 1;
        return;
    }
    for (uint32_t node = 0; node < capture->node_count; node++) {
        ITEMS(capture->edge_offset, uint64_t)[node] = end;
        end += sparse_value(&capture->long_counts, &at_long, node,
                            ITEMS(capture->edge_count, uint32_t)[node]);
    }
    buffer_free(&capture->edge_count);
}

/* Each edge is subtracted from the reference count of its target. Count the edges that this count
 * does not include first, or references of C would be taken for explained. */
static void
count_borrowed(Capture *capture)
{
    const uint32_t *node_of = ITEMS(capture->node_of, uint32_t);
    uint32_t *left = ITEMS(capture->node_references, uint32_t);
    for (size_t i = 0; i < COUNT(capture->borrowed, uint32_t); i++) {
        uint32_t node = node_of[ITEMS(capture->borrowed, uint32_t)[i]];
        if (left[node] != 0 && left[node] != MANY_REFERENCES) { /* 0: immortal, not counted */
            left[node]++;
        }
    }
}

void
number_edges(Capture *capture)
{
    uint32_t *target = ITEMS(capture->edge_target, uint32_t);
    const uint32_t *label = ITEMS(capture->edge_label, uint32_t);
    const uint32_t *node_of = ITEMS(capture->node_of, uint32_t);
    uint32_t *left = ITEMS(capture->node_references, uint32_t);
    size_t count = COUNT(capture->edge_target, uint32_t);
    count_borrowed(capture);
    for (size_t edge = 0; edge < count; edge++) {
        uint32_t node = target[edge] = node_of[target[edge]];
        if (!label_is_weak(label[edge]) && left[node] != 0 && left[node] != MANY_REFERENCES) {
            left[node]--;
        }
    }
}

#endif
