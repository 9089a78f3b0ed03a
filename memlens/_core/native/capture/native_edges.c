/* Edges to native blocks, and to the objects whose memory libraries use. The walk has laid out all
 * other edges: each new one is inserted at the end of its owner's. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_edges.h"
#include "base/sort.h"
#include "capture/native_rows.h"

typedef struct {
    uint64_t position; /* in the edges, as they were */
    uint32_t owner;    /* node */
    uint32_t target;   /* index */
    uint32_t block;
} NewEdge;

_Static_assert(sizeof(NewEdge) <= MOST_ROW_BYTES, "sort.c");

static int
compare_edges(const void *one, const void *other)
{
    const NewEdge *a = one, *b = other;
    if (a->owner != b->owner) {
        return a->owner < b->owner ? -1 : 1;
    }
    return a->target < b->target ? -1 : a->target > b->target;
}

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

void
list_block_edges(Capture *capture, const Buffer *placed, const Buffer *blocks, const Buffer *block_of_row,
           Buffer *edges)
{
    for (size_t i = 0; i < placed->size / sizeof(PlacedRow) && !capture->failed; i++) {
        const NativeRow *row = &((const PlacedRow *)placed->data)[i].row;
        uint32_t number = ITEMS(*block_of_row, uint32_t)[i];
        const Block *block = ITEMS(*blocks, Block) + number;
        if (block->is_object && (row->origin != OF_ADAPTER || block->index == row->owner)) {
            continue; /* other edges lead to that object */
        }
        NewEdge edge = {0, native_owner_node(capture, row->owner), block->index, number};
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
        NativeEdge kept = {edge->owner, native_owner_node(capture, edge->target)};
        if (ITEMS(capture->node_flags, uint16_t)[kept.block] & FLAG_NATIVE) {
            PUSH_ROW(capture, &capture->native_edges, kept);
        }
    }
}

void
add_block_edges(Capture *capture, Buffer *edges, const Buffer *blocks)
{
    place_edges(capture, edges);
    explain_objects(capture, edges, blocks);
    insert_edges(capture, edges);
    count_edges(capture, edges);
    keep_native_edges(capture, edges);
}

#endif
