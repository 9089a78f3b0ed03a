#include "base/table.h"

#include <string.h>

#define FIRST_REGIONS 1024u
#define REGION_RUN 16u
#define FIRST_STRAYS 4096u

static inline uint64_t
mix(uint64_t key)
{
    key *= UINT64_C(0x9E3779B97F4A7C15);
    return key ^ (key >> 29);
}

int
table_init(AddressTable *table)
{
    memset(table, 0, sizeof *table);
    if (buffer_zeros(&table->regions, FIRST_REGIONS * sizeof(Region)) < 0
        || buffer_zeros(&table->strays, FIRST_STRAYS * sizeof(Stray)) < 0) {
        table_free(table);
        return -1;
    }
    table->region_mask = FIRST_REGIONS - 1;
    table->stray_mask = FIRST_STRAYS - 1;
    return 0;
}

void
table_free(AddressTable *table)
{
    buffer_free(&table->regions);
    buffer_free(&table->blocks);
    buffer_free(&table->strays);
}

static inline Region *
region_at(const AddressTable *table, uint64_t place)
{
    return (Region *)table->regions.data + place;
}

/* The place of the region with this key, or the empty place where it belongs. Neighbours in the heap
 * lie side by side, so that a walk over them misses the cache less often. A step is odd and longer
 * than such a run: it leaves the run, and reaches all places in the end. */
static inline uint64_t
region_place(const AddressTable *table, uint64_t key)
{
    uint64_t place = (mix(key / REGION_RUN) * REGION_RUN + key % REGION_RUN) & table->region_mask;
    for (;;) {
        uint64_t there = region_at(table, place)->key;
        if (there == key || there == 0) {
            return place;
        }
        place = (place + REGION_RUN + 1) & table->region_mask;
    }
}

static int
grow_regions(AddressTable *table)
{
    Buffer old = table->regions;
    uint64_t old_count = table->region_mask + 1;
    table->regions = (Buffer){NULL, 0, 0};
    if (buffer_zeros(&table->regions, 2 * old_count * sizeof(Region)) < 0) {
        table->regions = old;
        return -1;
    }
    table->region_mask = 2 * old_count - 1;
    for (uint64_t place = 0; place < old_count; place++) {
        Region *region = (Region *)old.data + place;
        if (region->key != 0) {
            *region_at(table, region_place(table, region->key)) = *region;
        }
    }
    buffer_free(&old);
    return 0;
}

static inline uint32_t *
block_at(const AddressTable *table, const Region *region)
{
    return (uint32_t *)table->blocks.data + (size_t)(region->block - 1) * REGION_SLOTS;
}

/* Move what the region holds itself into a block of its own. */
static int
give_block(AddressTable *table, Region *region)
{
    size_t bytes = REGION_SLOTS * sizeof(uint32_t);
    if (buffer_reserve(&table->blocks, bytes) < 0) {
        return -1;
    }
    table->blocks.size += bytes; /* fresh mappings are zeros, and nothing is ever taken back */
    region->block = (uint32_t)(table->blocks.size / bytes);
    uint32_t *numbers = block_at(table, region);
    for (int i = 0; i < region->count; i++) {
        numbers[region->slot[i]] = region->index[i] + 1;
    }
    return 0;
}

static int
grow_strays(AddressTable *table)
{
    Buffer old = table->strays;
    uint64_t old_count = table->stray_mask + 1;
    table->strays = (Buffer){NULL, 0, 0};
    if (buffer_zeros(&table->strays, 2 * old_count * sizeof(Stray)) < 0) {
        table->strays = old;
        return -1;
    }
    table->stray_mask = 2 * old_count - 1;
    for (uint64_t i = 0; i < old_count; i++) {
        Stray *stray = (Stray *)old.data + i;
        if (stray->address != 0) {
            uint64_t place = mix(stray->address) & table->stray_mask;
            while (((Stray *)table->strays.data)[place].address != 0) {
                place = (place + 1) & table->stray_mask;
            }
            ((Stray *)table->strays.data)[place] = *stray;
        }
    }
    buffer_free(&old);
    return 0;
}

static Stray *
stray_place(const AddressTable *table, uint64_t address)
{
    uint64_t place = mix(address) & table->stray_mask;
    Stray *strays = (Stray *)table->strays.data;
    while (strays[place].address != 0 && strays[place].address != address) {
        place = (place + 1) & table->stray_mask;
    }
    return strays + place;
}

static int
find_or_add_stray(AddressTable *table, uint64_t address, uint32_t new_index, uint32_t *index)
{
    Stray *stray = stray_place(table, address);
    if (stray->address == address) {
        *index = stray->index;
        return 0;
    }
    if (2 * (table->stray_count + 1) > table->stray_mask) {
        if (grow_strays(table) < 0) {
            return -1;
        }
        stray = stray_place(table, address);
    }
    *stray = (Stray){address, new_index};
    table->stray_count++;
    *index = TABLE_NONE;
    return 0;
}

static int
add_to_region(AddressTable *table, Region *region, uint32_t slot, uint32_t new_index)
{
    if (region->block == 0 && region->count < REGION_INLINE) {
        region->slot[region->count] = (uint8_t)slot;
        region->index[region->count] = new_index;
        region->count++;
        return 0;
    }
    if (region->block == 0 && give_block(table, region) < 0) {
        return -1;
    }
    block_at(table, region)[slot] = new_index + 1;
    return 0;
}

int
table_find_or_add(AddressTable *table, uint64_t address, uint32_t new_index, uint32_t *index)
{
    if (address & 15) {
        return find_or_add_stray(table, address, new_index, index);
    }
    uint64_t key = (address >> REGION_BITS) + 1;
    uint32_t slot = (uint32_t)(address >> 4) & (REGION_SLOTS - 1);
    Region *region = region_at(table, table->last_region);
    if (region->key != key) {
        uint64_t place = region_place(table, key);
        region = region_at(table, place);
        if (region->key == 0) {
            if (4 * (table->region_count + 1) > 3 * table->region_mask) {
                if (grow_regions(table) < 0) {
                    return -1;
                }
                place = region_place(table, key);
                region = region_at(table, place);
            }
            region->key = key;
            table->region_count++;
        }
        table->last_region = place;
    }
    if (region->block != 0) {
        uint32_t *number = block_at(table, region) + slot;
        *index = *number - 1; /* 0, empty, becomes TABLE_NONE */
        if (*number == 0) {
            *number = new_index + 1;
        }
        return 0;
    }
    for (int i = 0; i < region->count; i++) {
        if (region->slot[i] == slot) {
            *index = region->index[i];
            return 0;
        }
    }
    *index = TABLE_NONE;
    return add_to_region(table, region, slot, new_index);
}

uint32_t
table_find(AddressTable *table, uint64_t address)
{
    if (address & 15) {
        Stray *stray = stray_place(table, address);
        return stray->address == address && address != 0 ? stray->index : TABLE_NONE;
    }
    uint64_t key = (address >> REGION_BITS) + 1;
    uint32_t slot = (uint32_t)(address >> 4) & (REGION_SLOTS - 1);
    Region *region = region_at(table, table->last_region);
    if (region->key != key) {
        uint64_t place = region_place(table, key);
        region = region_at(table, place);
        if (region->key == 0) {
            return TABLE_NONE;
        }
        table->last_region = place;
    }
    if (region->block != 0) {
        return block_at(table, region)[slot] - 1;
    }
    for (int i = 0; i < region->count; i++) {
        if (region->slot[i] == slot) {
            return region->index[i];
        }
    }
    return TABLE_NONE;
}
