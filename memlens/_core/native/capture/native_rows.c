/* From rows to blocks: rows that lie within one another are one block, since views and slices share
 * their storage. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_rows.h"
#include "base/sort.h"

_Static_assert(sizeof(PlacedRow) <= MOST_ROW_BYTES, "sort.c");

static int
order(uint64_t one, uint64_t other)
{
    return one < other ? -1 : one > other;
}

static int
compare_rows(const void *one, const void *other)
{
    const PlacedRow *a = one, *b = other;
    int found = order(a->space, b->space);
    found = found != 0 ? found : order(a->row.address, b->row.address);
    found = found != 0 ? found : order(b->row.bytes, a->row.bytes); /* the greater one first */
    return found != 0 ? found : order(a->row.owner, b->row.owner);
}

/* Whether a row names an object that is there: its bytes are the address of the object's type. */
static int
names_object(Capture *capture, const NativeRow *row)
{
    uint32_t index = table_find(&capture->table, row->address);
    return index != NODE_NONE && index != row->owner && native_owner_node(capture, index) != NODE_NONE
           && (uint64_t)(uintptr_t)native_owner_plan(capture, index)->type == row->bytes;
}

void
place_native_rows(Capture *capture, Buffer *placed)
{
    uint32_t cpu = native_string(capture, "cpu"), mapped = native_string(capture, "mapped");
    uint32_t shared = native_string(capture, "shared");
    uint32_t held = native_string(capture, HELD_OBJECT);
    for (size_t i = 0; i < COUNT(capture->native_rows, NativeRow); i++) {
        const NativeRow *row = ITEMS(capture->native_rows, NativeRow) + i;
        uint32_t node = native_owner_node(capture, row->owner);
        if (row->bytes == 0 || row->bytes > UINT64_MAX - row->address || node == NODE_NONE) {
            continue;
        }
        const Plan *plan = native_owner_plan(capture, row->owner);
        if (row->origin == OF_VIEW && (plan->memory != NULL || plan->is_own)) {
            continue; /* a view of what is known from itself, or of a snapshot that is open */
        }
        int is_host = row->device == cpu || row->device == mapped || row->device == shared;
        PlacedRow one = {*row, is_host ? 0 : row->device + 1};
        if (row->device == held) {
            if (row->origin != OF_ADAPTER || !names_object(capture, row)) {
                continue;
            }
            one.row.bytes = 1; /* the same object is the same block */
        }
        PUSH_ROW(capture, placed, one);
    }
    sort_rows(placed->data, placed->size / sizeof(PlacedRow), sizeof(PlacedRow), compare_rows);
}

static Block
block_of(const PlacedRow *placed)
{
    const NativeRow *row = &placed->row;
    return (Block){
        .start = row->address,
        .end = row->address + row->bytes,
        .device = row->device,
        .library = row->library,
        .index = NODE_NONE,
        .is_host = placed->space == 0,
        .is_told = row->origin == OF_ADAPTER,
        .is_mapping = row->origin == OF_MAPPING,
        .resident = RESIDENT_UNKNOWN,
    };
}

/* A block that has the address and size of another one, or lies within it. */
static void
include(Block *outer, const Block *inner)
{
    if (inner->is_told && !outer->is_told) { /* the library's own name is the better one */
        outer->library = inner->library;
        outer->is_told = 1;
    }
    outer->is_mapping |= inner->is_mapping;
}

void
join_native_rows(Capture *capture, const Buffer *placed, Buffer *blocks, Buffer *block_of_row)
{
    uint32_t space = 0, count = 0;
    for (size_t i = 0; i < placed->size / sizeof(PlacedRow) && !capture->failed; i++) {
        const PlacedRow *row = (const PlacedRow *)placed->data + i;
        Block block = block_of(row);
        Block *last = count == 0 ? NULL : ITEMS(*blocks, Block) + count - 1;
        if (last == NULL || row->space != space || block.start == 0 || last->start == 0
            || block.start >= last->end || block.end > last->end) {
            PUSH_ROW(capture, blocks, block);
            space = row->space;
            count++;
        }
        else {
            include(last, &block);
        }
        capture->failed |= push_u32(block_of_row, count - 1) < 0;
    }
}

#endif
