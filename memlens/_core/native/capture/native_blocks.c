/* Native memory as nodes of the graph: one for each block, however many objects hold it. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_blocks.h"
#include "capture/native_edges.h"
#include "capture/native_mappings.h"
#include "capture/native_nodes.h"
#include "capture/native_objects.h"
#include "capture/native_rows.h"

void
attach_native(Capture *capture)
{
    Buffer placed = {NULL, 0, 0}, blocks = {NULL, 0, 0}, block_of_row = {NULL, 0, 0};
    Buffer edges = {NULL, 0, 0};
    place_native_rows(capture, &placed);
    join_native_rows(capture, &placed, &blocks, &block_of_row);
    if (!capture->failed) {
        measure_mappings(capture, &blocks);
    }
    find_block_objects(capture, &blocks);
    add_block_nodes(capture, &blocks);
    list_block_edges(capture, &placed, &blocks, &block_of_row, &edges);
    buffer_free(&placed);
    buffer_free(&block_of_row);
    if (!capture->failed) {
        add_block_edges(capture, &edges, &blocks);
    }
    buffer_free(&blocks);
    buffer_free(&edges);
    buffer_free(&capture->native_rows);
}

void
mark_native_garbage(Capture *capture)
{
    uint16_t *flags = ITEMS(capture->node_flags, uint16_t);
    for (size_t i = 0; i < COUNT(capture->native_node, uint32_t); i++) {
        flags[ITEMS(capture->native_node, uint32_t)[i]] |= FLAG_GARBAGE;
    }
    for (size_t i = 0; i < COUNT(capture->native_edges, NativeEdge); i++) {
        const NativeEdge *edge = ITEMS(capture->native_edges, NativeEdge) + i;
        if (!(flags[edge->owner] & FLAG_GARBAGE)) {
            flags[edge->block] &= (uint16_t)~FLAG_GARBAGE;
        }
    }
}

#endif
