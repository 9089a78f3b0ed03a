/* Native memory as nodes of the graph: one for each block, however many objects hold it.
 *
 * Rows that lie within one another are one block: views and slices share their storage. A block
 * within the contents of a Python object (bytes, an array) is no block, but a reference to that
 * object, which the library holds without showing it. An adapter can state such a reference itself. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_blocks.h"
#include "base/sort.h"
#include "capture/native_memory.h"

#define HELD_OBJECT "python object" /* as in native_chunks.py */

typedef struct {
    uint64_t start, end;
    uint32_t device, library;
    uint32_t index;        /* of the block's node, or of the object that it is a part of */
    uint8_t is_host;
    uint8_t is_object;     /* a part of an object */
    uint8_t is_told;       /* by an adapter */
} Block;

typedef struct {
    uint64_t position; /* in the edges, as they were */
    uint32_t owner;    /* node */
    uint32_t target;   /* index */
    uint32_t block;
} NewEdge;

/* The memory of the host is one space of addresses, that of each device another. */
typedef struct {
    NativeRow row;
    uint32_t space;
} PlacedRow;

_Static_assert(sizeof(PlacedRow) <= MOST_ROW_BYTES && sizeof(NewEdge) <= MOST_ROW_BYTES, "sort.c");

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

static int
compare_edges(const void *one, const void *other)
{
    const NewEdge *a = one, *b = other;
    int found = order(a->owner, b->owner);
    return found != 0 ? found : order(a->target, b->target);
}

static uint32_t
literal(Capture *capture, const char *text)
{
    return text_label(capture, INTERNAL, text) >> LABEL_BITS;
}

static uint32_t
owner_node(const Capture *capture, uint32_t index)
{
    return ITEMS(capture->node_of, uint32_t)[index];
}

static const Plan *
owner_plan(Capture *capture, uint32_t index)
{
    uint32_t node = owner_node(capture, index);
    return plan_at(capture, ITEMS(capture->node_type, uint32_t)[node]);
}

/* ---- from rows to blocks --------------------------------------------------------------------- */

/* Whether a row names an object that is there: its bytes are the address of the object's type. */
static int
names_object(Capture *capture, const NativeRow *row)
{
    uint32_t index = table_find(&capture->table, row->address);
    return index != NODE_NONE && index != row->owner && owner_node(capture, index) != NODE_NONE
           && (uint64_t)(uintptr_t)owner_plan(capture, index)->type == row->bytes;
}

static void
place_rows(Capture *capture, Buffer *placed)
{
    uint32_t cpu = literal(capture, "cpu"), mapped = literal(capture, "mapped");
    uint32_t held = literal(capture, HELD_OBJECT);
    for (size_t i = 0; i < COUNT(capture->native_rows, NativeRow); i++) {
        const NativeRow *row = ITEMS(capture->native_rows, NativeRow) + i;
        uint32_t node = owner_node(capture, row->owner);
        if (row->bytes == 0 || row->bytes > UINT64_MAX - row->address || node == NODE_NONE) {
            continue;
        }
        const Plan *plan = owner_plan(capture, row->owner);
        if (row->origin == OF_VIEW && (plan->memory != NULL || plan->is_own)) {
            continue; /* a view of what is known from itself, or of a snapshot that is open */
        }
        int is_host = row->device == cpu || row->device == mapped;
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
    };
}

/* Joins the rows of each block; block_of_row: its number, by row. */
static void
join_rows(Capture *capture, const Buffer *placed, Buffer *blocks, Buffer *block_of_row)
{
    uint32_t space = 0, count = 0;
    for (size_t i = 0; i < placed->size / sizeof(PlacedRow) && !capture->failed; i++) {
        const PlacedRow *row = (const PlacedRow *)placed->data + i;
        Block block = block_of(row);
        Block *last = count == 0 ? NULL : ITEMS(*blocks, Block) + count - 1;
        if (last == NULL || row->space != space || block.start == 0 || last->start == 0 || block.start >= last->end
            || block.end > last->end) {
            PUSH_ROW(capture, blocks, block);
            space = row->space;
            count++;
        }
        else if (block.is_told && !last->is_told) { /* the library's own name is the better one */
            last->library = block.library;
            last->is_told = 1;
        }
        capture->failed |= push_u32(block_of_row, count - 1) < 0;
    }
}

/* ---- blocks that are a part of an object ----------------------------------------------------- */

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
    uint32_t held = literal(capture, HELD_OBJECT);
    for (size_t i = 0; i < COUNT(*blocks, Block); i++) {
        Block *block = ITEMS(*blocks, Block) + i;
        if (block->device == held) {
            block->index = table_find(&capture->table, block->start);
            block->is_object = 1;
        }
    }
}

static void
find_objects(Capture *capture, Buffer *blocks)
{
    Block *block = ITEMS(*blocks, Block);
    size_t count = 0;
    while (count < COUNT(*blocks, Block) && block[count].is_host) {
        count++;
    }
    uint32_t index_count = count == 0 ? 0 : capture->index_count;
    for (uint32_t index = 0; index < index_count; index++) {
        uint64_t start, end;
        if (owner_node(capture, index) == NODE_NONE
            || !own_contents(capture, object_at(capture, index), owner_plan(capture, index), &start,
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

/* ---- nodes ----------------------------------------------------------------------------------- */

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
}

/* ---- edges ----------------------------------------------------------------------------------- */

/* A library that uses an object's memory has a reference to the object, just one, however many
 * objects of the library lead to it, and however many of its blocks lie there. */
static void
explain_objects(Capture *capture, const Buffer *edges, const Buffer *blocks)
{
    Buffer explained = {NULL, 0, 0}; /* a bit, by index */
    if (buffer_zeros(&explained, (size_t)capture->index_count / 8 + 1) < 0) {
        capture->failed = 1;
        return;
    }
    for (size_t i = 0; i < COUNT(*edges, NewEdge); i++) {
        const NewEdge *edge = ITEMS(*edges, NewEdge) + i;
        uint8_t *bits = ITEMS(explained, uint8_t) + edge->target / 8;
        uint8_t bit = (uint8_t)(1 << edge->target % 8);
        if (!ITEMS(*blocks, Block)[edge->block].is_object) {
            continue;
        }
        if (*bits & bit) {
            note_borrowed(capture, object_at(capture, edge->target));
        }
        *bits |= bit;
    }
    buffer_free(&explained);
}

static void
list_edges(Capture *capture, const Buffer *placed, const Buffer *blocks, const Buffer *block_of_row,
           Buffer *edges)
{
    for (size_t i = 0; i < placed->size / sizeof(PlacedRow) && !capture->failed; i++) {
        const NativeRow *row = &((const PlacedRow *)placed->data)[i].row;
        uint32_t number = ITEMS(*block_of_row, uint32_t)[i];
        const Block *block = ITEMS(*blocks, Block) + number;
        if (block->is_object && (row->origin != OF_ADAPTER || block->index == row->owner)) {
            continue; /* other edges lead to that object */
        }
        NewEdge edge = {0, owner_node(capture, row->owner), block->index, number};
        PUSH_ROW(capture, edges, edge);
    }
    sort_rows(edges->data, edges->size / sizeof(NewEdge), sizeof(NewEdge), compare_edges);
}

/* Keep each edge once, and note where it belongs: at the end of its owner's. */
static void
place_edges(Capture *capture, Buffer *edges)
{
    NewEdge *edge = ITEMS(*edges, NewEdge);
    uint32_t *count = ITEMS(capture->edge_count, uint32_t), node = 0;
    size_t kept = 0, at_long = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < COUNT(*edges, NewEdge); i++) {
        if (kept != 0 && compare_edges(&edge[kept - 1], &edge[i]) == 0) {
            continue;
        }
        for (; node <= edge[i].owner; node++) {
            end += sparse_value(&capture->long_counts, &at_long, node, count[node]);
        }
        edge[i].position = end;
        edge[kept++] = edge[i];
    }
    edges->size = kept * sizeof(NewEdge);
}

static void
insert_edges(Capture *capture, const Buffer *edges)
{
    const NewEdge *edge = ITEMS(*edges, NewEdge);
    size_t count = COUNT(*edges, NewEdge), bytes = count * sizeof(uint32_t);
    uint64_t tail = COUNT(capture->edge_target, uint32_t);
    uint32_t label = text_label(capture, INTERNAL, "buffer");
    if (buffer_reserve(&capture->edge_target, bytes + 1) < 0
        || buffer_reserve(&capture->edge_label, bytes + 1) < 0) {
        capture->failed = 1;
        return;
    }
    uint32_t *targets = ITEMS(capture->edge_target, uint32_t);
    uint32_t *labels = ITEMS(capture->edge_label, uint32_t);
    for (size_t i = count; i > 0; i--) {
        uint64_t position = edge[i - 1].position;
        size_t moved = (size_t)(tail - position) * sizeof(uint32_t);
        memmove(targets + position + i, targets + position, moved);
        memmove(labels + position + i, labels + position, moved);
        targets[position + i - 1] = edge[i - 1].target;
        labels[position + i - 1] = label;
        tail = position;
    }
    capture->edge_target.size += bytes;
    capture->edge_label.size += bytes;
}

static void
count_edges(Capture *capture, const Buffer *edges)
{
    SparseRow *great = ITEMS(capture->long_counts, SparseRow);
    size_t at = 0, great_count = COUNT(capture->long_counts, SparseRow);
    for (size_t i = 0; i < COUNT(*edges, NewEdge); i++) {
        uint32_t owner = ITEMS(*edges, NewEdge)[i].owner;
        uint32_t *count = ITEMS(capture->edge_count, uint32_t) + owner;
        for (; at < great_count && great[at].node < owner; at++) {
        }
        if (*count == UINT32_MAX) {
            great[at].value++;
        }
        else if (++*count == UINT32_MAX) {
            capture->failed = 1; /* the number that stands for all beyond */
        }
    }
}

static void
keep_native_edges(Capture *capture, const Buffer *edges)
{
    for (size_t i = 0; i < COUNT(*edges, NewEdge); i++) {
        const NewEdge *edge = ITEMS(*edges, NewEdge) + i;
        NativeEdge kept = {edge->owner, owner_node(capture, edge->target)};
        if (ITEMS(capture->node_flags, uint16_t)[kept.block] & FLAG_NATIVE) {
            PUSH_ROW(capture, &capture->native_edges, kept);
        }
    }
}

void
attach_native(Capture *capture)
{
    Buffer placed = {NULL, 0, 0}, blocks = {NULL, 0, 0}, block_of_row = {NULL, 0, 0};
    Buffer edges = {NULL, 0, 0};
    place_rows(capture, &placed);
    join_rows(capture, &placed, &blocks, &block_of_row);
    find_objects(capture, &blocks);
    find_held_objects(capture, &blocks);
    for (size_t i = 0; i < COUNT(blocks, Block) && !capture->failed; i++) {
        if (!ITEMS(blocks, Block)[i].is_object) {
            add_node(capture, ITEMS(blocks, Block) + i);
        }
    }
    list_edges(capture, &placed, &blocks, &block_of_row, &edges);
    buffer_free(&placed);
    buffer_free(&block_of_row);
    if (!capture->failed) {
        place_edges(capture, &edges);
        explain_objects(capture, &edges, &blocks);
        insert_edges(capture, &edges);
        count_edges(capture, &edges);
        keep_native_edges(capture, &edges);
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
