/* Unreachable objects. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/garbage.h"
#include "capture/native_blocks.h"

static void
reach(Capture *capture, uint32_t node)
{
    uint16_t *flags = ITEMS(capture->node_flags, uint16_t) + node;
    if (*flags & FLAG_GARBAGE) {
        *flags &= (uint16_t)~FLAG_GARBAGE;
        capture->failed |= push_u32(&capture->stack, node) < 0;
    }
}

/* Nodes that the walk from named roots did not reach are garbage unless another root leads to
 * them. */
void
mark_garbage(Capture *capture)
{
    const uint32_t *target = ITEMS(capture->edge_target, uint32_t);
    const uint32_t *label = ITEMS(capture->edge_label, uint32_t);
    for (uint32_t node = capture->named_end; node < capture->node_count; node++) {
        ITEMS(capture->node_flags, uint16_t)[node] |= FLAG_GARBAGE;
    }
    capture->stack.size = 0;
    for (size_t i = 0; i < COUNT(capture->roots, Root); i++) {
        reach(capture, ITEMS(capture->node_of, uint32_t)[ITEMS(capture->roots, Root)[i].index]);
    }
    while (capture->stack.size != 0 && !capture->failed) {
        capture->stack.size -= sizeof(uint32_t);
        uint32_t node = *(uint32_t *)(capture->stack.data + capture->stack.size);
        uint64_t edge = ITEMS(capture->edge_offset, uint64_t)[node], end = edges_end(capture, node);
        for (; edge < end; edge++) {
            if (!label_is_weak(label[edge])) {
                reach(capture, target[edge]);
            }
        }
    }
    mark_native_garbage(capture); /* nodes reached from named roots are not followed above */
}

#endif
