/* Address -> index, for objects of one heap.
 *
 * Two levels. The upper one is an open-addressing table of regions of 1 KiB; a region holds up to
 * three objects itself and gets a block of 64 numbers, one for each 16 bytes, when a fourth comes.
 * Neighbours in the heap are therefore neighbours in the table, and a lookup rarely misses the
 * cache. A table that scatters addresses would nearly always miss it. Objects are 16 bytes apart at
 * least; what is not aligned to 16 (static objects) goes into a small table of its own.
 *
 * Numbers start at 0; no object has number TABLE_NONE. Memory: 4 bytes for each 16 bytes of a
 * crowded region, about 45 bytes for an object alone in its region. */
#ifndef MEMLENS_BASE_TABLE_H
#define MEMLENS_BASE_TABLE_H

#include "base/buffer.h"

#include <stdint.h>

#define TABLE_NONE UINT32_MAX
#define REGION_BITS 10
#define REGION_SLOTS (1u << (REGION_BITS - 4))
#define REGION_INLINE 3

typedef struct {
    uint64_t key;   /* address >> REGION_BITS, plus 1; 0 for an empty place */
    uint32_t block; /* number of the block plus 1, or 0 while the region holds its objects itself */
    uint8_t count;  /* objects in here, while there is no block */
    uint8_t slot[REGION_INLINE];
    uint32_t index[REGION_INLINE];
} Region;

typedef struct {
    uint64_t address; /* 0 for an empty place */
    uint32_t index;
} Stray;

typedef struct {
    Buffer regions; /* a power of two of Region */
    Buffer blocks;  /* blocks of REGION_SLOTS numbers, stored plus 1 so that 0 is empty */
    Buffer strays;  /* a power of two of Stray */
    uint64_t region_count;
    uint64_t stray_count;
    uint64_t region_mask;
    uint64_t stray_mask;
    uint64_t last_region; /* where the last lookup ended */
} AddressTable;

/* Returns -1 when there is no memory. */
int table_init(AddressTable *table);
void table_free(AddressTable *table);

/* The place for the number of `address`: TABLE_NONE - as is, in `*index` - when it was not
 * there, in which case `new_index` has been put in. Returns -1 when there is no memory. */
int table_find_or_add(AddressTable *table, uint64_t address, uint32_t new_index, uint32_t *index);

/* The number of `address`, or TABLE_NONE. */
uint32_t table_find(AddressTable *table, uint64_t address);

#endif
