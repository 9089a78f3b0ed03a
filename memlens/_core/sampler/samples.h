/* The samples that are alive: rows in a dense array, found by address through a hash index.
 *
 * Open addressing, linear probing, deletion by shifting back, at most half full. Free rows form a
 * list through `bucket`; their address is 0. The caller holds the lock. */

#ifndef MEMLENS_SAMPLER_SAMPLES_H
#define MEMLENS_SAMPLER_SAMPLES_H

#include "index.h"
#include "prng.h"

#define SAMPLE_NONE UINT32_MAX

typedef struct {
    uint64_t address;
    uint64_t size_bytes;  /* as asked for */
    double probability;   /* that a block of this size was sampled */
    uint64_t birth_ns;    /* monotonic clock */
    uint64_t sequence;    /* grows by one a sample */
    uint32_t bucket;
    uint32_t epoch;       /* of the bucket numbers, while the sample is out of the table */
} Sample;

typedef struct {
    Sample *rows;
    uint32_t capacity, count, rows_used, free_row;
    Index index;
} Samples;

static inline uint32_t
samples_home(const Samples *samples, uint64_t address)
{
    return index_home(&samples->index, mix64(address >> 4));
}

/* The slot that holds the address, or the empty one where it would go. */
static uint32_t
samples_slot(const Samples *samples, uint64_t address)
{
    uint32_t slot = samples_home(samples, address);
    while (samples->index.slots[slot] != 0 &&
           samples->rows[samples->index.slots[slot] - 1].address != address) {
        slot = index_after(&samples->index, slot);
    }
    return slot;
}

static Sample *
samples_find(const Samples *samples, uint64_t address)
{
    uint32_t row = samples->index.slots[samples_slot(samples, address)];
    return row != 0 ? &samples->rows[row - 1] : NULL;
}

/* The table must not be full, the address not in it. */
static void
samples_add(Samples *samples, const Sample *sample)
{
    uint32_t row = samples->free_row;
    if (row != SAMPLE_NONE) {
        samples->free_row = samples->rows[row].bucket;
    }
    else {
        row = samples->rows_used++;
    }
    samples->rows[row] = *sample;
    samples->index.slots[samples_slot(samples, sample->address)] = row + 1;
    samples->count++;
}

/* Closes the gap: an entry behind it moves up unless its home lies between the gap and itself. */
static void
samples_close_gap(Samples *samples, uint32_t gap)
{
    Index *index = &samples->index;
    uint32_t slot = gap;
    for (;;) {
        slot = index_after(index, slot);
        if (index->slots[slot] == 0) {
            break;
        }
        uint32_t home = samples_home(samples, samples->rows[index->slots[slot] - 1].address);
        if (((slot - home) & index->mask) >= ((slot - gap) & index->mask)) {
            index->slots[gap] = index->slots[slot];
            gap = slot;
        }
    }
    index->slots[gap] = 0;
}

static void
samples_remove(Samples *samples, Sample *sample)
{
    uint32_t row = (uint32_t)(sample - samples->rows);
    samples_close_gap(samples, samples_slot(samples, sample->address));
    sample->address = 0;
    sample->bucket = samples->free_row;
    samples->free_row = row;
    samples->count--;
}

static void
samples_destroy(Samples *samples)
{
    memory_unmap(samples->rows, samples->capacity * sizeof(Sample));
    index_destroy(&samples->index);
    memset(samples, 0, sizeof(*samples));
}

static bool
samples_create(Samples *samples, uint32_t capacity)
{
    memset(samples, 0, sizeof(*samples));
    samples->capacity = capacity;
    samples->free_row = SAMPLE_NONE;
    samples->rows = memory_map(capacity * sizeof(Sample));
    if (!index_create(&samples->index, capacity) || !samples->rows) {
        samples_destroy(samples);
        return false;
    }
    return true;
}

#endif
