/* The nodes of native blocks, at the end of the numbering. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_nodes.h"
#include "capture/native_rows.h"

/* The string `native memory (library)`. */
static uint32_t
type_name_of(Capture *capture, uint32_t library)
{
    const uint64_t *offset = ITEMS(capture->strings.offsets, uint64_t);
    Buffer *text = &capture->text;
    text->size = 0;
    int failed = buffer_push(text, "native memory (", 15) < 0
                 || buffer_push(text, capture->strings.bytes.data + offset[library],
                                (size_t)(offset[library + 1] - offset[library]))
                        < 0
                 || push_u8(text, ')') < 0;
    uint32_t number = failed ? UINT32_MAX : strings_add(&capture->strings, text->data, text->size);
    text->size = 0;
    capture->failed |= number == UINT32_MAX;
    return number;
}

/* The row of the type table for the blocks of a library; such rows are the last ones. */
static uint32_t
type_row_of(Capture *capture, uint32_t library)
{
    Plan plan = {.type = NULL, .type_index = NODE_NONE, .name = type_name_of(capture, library)};
    uint32_t row = (uint32_t)COUNT(capture->plans, Plan) - 1;
    for (; row > 0 && plan_at(capture, row)->type == NULL; row--) {
        if (plan_at(capture, row)->name == plan.name) {
            return row;
        }
    }
    PUSH_ROW(capture, &capture->plans, plan);
    return (uint32_t)COUNT(capture->plans, Plan) - 1;
}

static void
add_node(Capture *capture, Block *block)
{
    if (capture->index_count >= MAX_NODES) {
        capture->failed = 1;
        return;
    }
    uint32_t row = type_row_of(capture, block->library);
    block->index = capture->index_count++;
    capture->node = capture->node_count++;
    push_narrow(capture, &capture->node_size, &capture->long_sizes, block->end - block->start);
    capture->failed |= push_u64(&capture->address, block->start) < 0
                       || push_u32(&capture->node_of, capture->node) < 0
                       || push_u32(&capture->node_type, row) < 0
                       || push_u16(&capture->node_flags, FLAG_NATIVE) < 0
                       || push_u32(&capture->node_references, 0) < 0
                       || push_u32(&capture->edge_count, 0) < 0
                       || push_u32(&capture->native_node, capture->node) < 0
                       || push_u32(&capture->native_device, block->device) < 0
                       || push_u32(&capture->native_library, block->library) < 0;
    if (block->resident != RESIDENT_UNKNOWN) {
        capture->failed |= push_u32(&capture->resident_node, capture->node) < 0
                           || push_u64(&capture->resident_bytes, block->resident) < 0;
    }
}

void
add_block_nodes(Capture *capture, Buffer *blocks)
{
    for (size_t i = 0; i < COUNT(*blocks, Block) && !capture->failed; i++) {
        if (!ITEMS(*blocks, Block)[i].is_object) {
            add_node(capture, ITEMS(*blocks, Block) + i);
        }
    }
}

#endif
