/* Blocks that are a part of a Python object. A block within the contents of bytes or an array is no
 * block, but a reference to that object, which the library holds without showing it. An adapter can
 * state such a reference itself. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_objects.h"
#include "capture/native_memory.h"
#include "capture/native_rows.h"

/* The first block of the host that begins at or after an address. */
static size_t
first_from(const Block *blocks, size_t count, uint64_t address)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (blocks[middle].start < address) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

static void
find_held_objects(Capture *capture, Buffer *blocks)
{
    uint32_t held = native_string(capture, HELD_OBJECT);
    for (size_t i = 0; i < COUNT(*blocks, Block); i++) {
        Block *block = ITEMS(*blocks, Block) + i;
        if (block->device == held) {
            block->index = table_find(&capture->table, block->start);
            block->is_object = 1;
        }
    }
}

static void
find_contents(Capture *capture, Buffer *blocks)
{
    Block *block = ITEMS(*blocks, Block);
    size_t count = 0;
    while (count < COUNT(*blocks, Block) && block[count].is_host) {
        count++;
    }
    uint32_t index_count = count == 0 ? 0 : capture->index_count;
    for (uint32_t index = 0; index < index_count; index++) {
        uint64_t start, end;
        if (native_owner_node(capture, index) == NODE_NONE
            || !own_contents(capture, object_at(capture, index), native_owner_plan(capture, index), &start,
                             &end)) {
            continue;
        }
        for (size_t i = first_from(block, count, start); i < count && block[i].start < end; i++) {
            if (block[i].end <= end) {
                block[i].index = index;
                block[i].is_object = 1;
            }
        }
    }
}

void
find_block_objects(Capture *capture, Buffer *blocks)
{
    find_contents(capture, blocks);
    find_held_objects(capture, blocks);
}

#endif
