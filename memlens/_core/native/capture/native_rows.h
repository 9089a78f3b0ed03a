/* Rows of native memory, and the blocks that they are joined to. */
#ifndef MEMLENS_CAPTURE_NATIVE_ROWS_H
#define MEMLENS_CAPTURE_NATIVE_ROWS_H

#include "capture/store.h"

#define RESIDENT_UNKNOWN UINT64_MAX
#define HELD_OBJECT "python object" /* as in native_chunks.py */

/* The memory of the host is one space of addresses, that of each device another. */
typedef struct {
    NativeRow row;
    uint32_t space;
} PlacedRow;

typedef struct {
    uint64_t start, end;
    uint32_t device, library;
    uint32_t index;        /* of the block's node, or of the object that it is a part of */
    uint8_t is_host;
    uint8_t is_object;     /* a part of an object */
    uint8_t is_told;       /* by an adapter */
    uint8_t is_mapping;    /* of a mapping object */
    uint64_t resident;     /* bytes, of mappings; RESIDENT_UNKNOWN for all else */
} Block;

static inline uint32_t
native_string(Capture *capture, const char *literal)
{
    return text_label(capture, INTERNAL, literal) >> LABEL_BITS;
}

static inline uint32_t
native_owner_node(const Capture *capture, uint32_t index)
{
    return ITEMS(capture->node_of, uint32_t)[index];
}

static inline const Plan *
native_owner_plan(Capture *capture, uint32_t index)
{
    uint32_t node = native_owner_node(capture, index);
    return plan_at(capture, ITEMS(capture->node_type, uint32_t)[node]);
}

/* Copy the rows that count into `placed`, in the order of their addresses; the host's come first. */
void place_native_rows(Capture *capture, Buffer *placed);

/* Join the rows of each block; block_of_row: u32, the number of the block, by row. */
void join_native_rows(Capture *capture, const Buffer *placed, Buffer *blocks, Buffer *block_of_row);

#endif
