/* A hash index from content to a row number: the part that the interning tables share.
 *
 * Open addressing, linear probing, no deletion. A slot holds the row's number plus one; 0 is empty.
 * The owner compares rows, and never fills the index beyond half. */

#ifndef MEMLENS_SAMPLER_INDEX_H
#define MEMLENS_SAMPLER_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

typedef struct {
    uint32_t *slots;
    uint32_t mask;
} Index;

static uint32_t
index_slot_count(uint32_t rows)
{
    uint32_t slots = 16;
    while (slots < 2 * rows) {
        slots *= 2;
    }
    return slots;
}

static bool
index_create(Index *index, uint32_t rows)
{
    uint32_t slots = index_slot_count(rows);
    index->slots = memory_map_touched(slots * sizeof(uint32_t));
    index->mask = slots - 1;
    return index->slots != NULL;
}

static void
index_destroy(Index *index)
{
    memory_unmap(index->slots, ((size_t)index->mask + 1) * sizeof(uint32_t));
    index->slots = NULL;
}

static inline uint32_t
index_home(const Index *index, uint64_t hash)
{
    return (uint32_t)(hash >> 20) & index->mask;
}

static inline uint32_t
index_after(const Index *index, uint32_t slot)
{
    return (slot + 1) & index->mask;
}

#endif
