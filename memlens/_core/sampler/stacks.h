/* Call stacks, interned: a stack is a row of locations, a location is a function, a file, a line.
 *
 * Frames are stored innermost first. Location 0 stands for what found no room, location 1 for frames
 * left out of a deep stack. Stack 0 has no frames (native), stack 1 is location 0 alone.
 * The caller holds the lock. */

#ifndef MEMLENS_SAMPLER_STACKS_H
#define MEMLENS_SAMPLER_STACKS_H

#include "strings.h"

#define LOCATION_OTHER 0
#define LOCATION_OMITTED 1
#define STACK_NATIVE 0
#define STACK_OTHER 1

typedef struct {
    uint32_t function, file, line;
} Location;

typedef struct {
    Location *rows;
    uint32_t count, capacity;
    Index index;
} Locations;

typedef struct {
    uint32_t *offsets; /* one more than there are stacks */
    uint32_t *hashes;
    uint32_t *frames;
    uint32_t count, capacity;
    uint32_t used_frames, capacity_frames;
    Index index;
} Stacks;

static uint32_t
locations_intern(Locations *locations, Location location, bool *full)
{
    uint64_t hash = mix64(((uint64_t)location.function << 32) ^ location.line);
    hash = mix64(hash ^ location.file);
    uint32_t slot = index_home(&locations->index, hash);
    for (; locations->index.slots[slot] != 0; slot = index_after(&locations->index, slot)) {
        uint32_t id = locations->index.slots[slot] - 1;
        const Location *row = &locations->rows[id];
        if (row->function == location.function && row->file == location.file &&
            row->line == location.line) {
            return id;
        }
    }
    if (locations->count == locations->capacity) {
        *full = true;
        return LOCATION_OTHER;
    }
    locations->rows[locations->count++] = location;
    locations->index.slots[slot] = locations->count;
    return locations->count - 1;
}

static uint32_t
hash_frames(const uint32_t *frames, uint32_t length)
{
    uint64_t hash = length;
    for (uint32_t i = 0; i < length; i++) {
        hash = (hash ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (uint32_t)(mix64(hash) >> 8);
}

static uint32_t
stacks_intern(Stacks *stacks, const uint32_t *frames, uint32_t length, bool *full)
{
    uint32_t hash = hash_frames(frames, length);
    uint32_t slot = index_home(&stacks->index, (uint64_t)hash << 20);
    for (; stacks->index.slots[slot] != 0; slot = index_after(&stacks->index, slot)) {
        uint32_t id = stacks->index.slots[slot] - 1;
        uint32_t offset = stacks->offsets[id];
        if (stacks->hashes[id] == hash && stacks->offsets[id + 1] - offset == length &&
            memcmp(stacks->frames + offset, frames, length * sizeof(uint32_t)) == 0) {
            return id;
        }
    }
    if (stacks->count == stacks->capacity ||
        stacks->capacity_frames - stacks->used_frames < length) {
        *full = true;
        return STACK_OTHER;
    }
    memcpy(stacks->frames + stacks->used_frames, frames, length * sizeof(uint32_t));
    stacks->used_frames += length;
    stacks->hashes[stacks->count] = hash;
    stacks->offsets[++stacks->count] = stacks->used_frames;
    stacks->index.slots[slot] = stacks->count;
    return stacks->count - 1;
}

static void
locations_destroy(Locations *locations)
{
    memory_unmap(locations->rows, locations->capacity * sizeof(Location));
    index_destroy(&locations->index);
    memset(locations, 0, sizeof(*locations));
}

static bool
locations_create(Locations *locations, Strings *strings, uint32_t capacity)
{
    bool full = false;
    memset(locations, 0, sizeof(*locations));
    locations->capacity = capacity;
    locations->rows = memory_map(capacity * sizeof(Location));
    if (!index_create(&locations->index, capacity) || !locations->rows) {
        locations_destroy(locations);
        return false;
    }
    uint32_t omitted = strings_intern(strings, "<frames omitted>", 16, &full);
    locations_intern(locations, (Location){STRING_OTHER, STRING_EMPTY, 0}, &full);
    locations_intern(locations, (Location){omitted, STRING_EMPTY, 0}, &full);
    return !full;
}

static void
stacks_destroy(Stacks *stacks)
{
    memory_unmap(stacks->offsets, ((size_t)stacks->capacity + 1) * sizeof(uint32_t));
    memory_unmap(stacks->hashes, stacks->capacity * sizeof(uint32_t));
    memory_unmap(stacks->frames, stacks->capacity_frames * sizeof(uint32_t));
    index_destroy(&stacks->index);
    memset(stacks, 0, sizeof(*stacks));
}

static bool
stacks_create(Stacks *stacks, uint32_t capacity, uint32_t capacity_frames)
{
    bool full = false;
    uint32_t other = LOCATION_OTHER;
    memset(stacks, 0, sizeof(*stacks));
    stacks->capacity = capacity;
    stacks->capacity_frames = capacity_frames;
    stacks->offsets = memory_map(((size_t)capacity + 1) * sizeof(uint32_t));
    stacks->hashes = memory_map(capacity * sizeof(uint32_t));
    stacks->frames = memory_map(capacity_frames * sizeof(uint32_t));
    if (!index_create(&stacks->index, capacity) || !stacks->offsets || !stacks->hashes ||
        !stacks->frames) {
        stacks_destroy(stacks);
        return false;
    }
    stacks_intern(stacks, &other, 0, &full);
    stacks_intern(stacks, &other, 1, &full);
    return true;
}

#endif
