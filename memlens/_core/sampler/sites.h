/* Where memory was allocated, and how much: everything that is interned, and the sums.
 *
 * A bucket is one stack in one allocator domain in one thread; it sums what was allocated there,
 * weighted sample by sample. Buckets 0 and 1 (one a domain) take what found no room and what was
 * evicted, so that totals stay right. All tables are bounded. The caller holds the lock. */

#ifndef MEMLENS_SAMPLER_SITES_H
#define MEMLENS_SAMPLER_SITES_H

#include "stacks.h"

#define DOMAIN_COUNT 2 /* 0: PyMem_*, 1: PyObject_* */
#define BUCKET_CAPACITY 16384
#define STACK_CAPACITY 16384
#define STACK_FRAME_CAPACITY (256 * 1024)
#define LOCATION_CAPACITY 16384
#define STRING_CAPACITY 8192
#define STRING_CAPACITY_BYTES (512 * 1024)

/* Weighted sums over samples: estimates of bytes and of blocks, the variances of the two, and the
 * largest variance that a single sample brought in (standard errors of few samples need it). */
typedef struct {
    double bytes, bytes_variance, bytes_largest;
    double count, count_variance, count_largest;
    uint64_t samples;
} Sums;

typedef struct {
    uint32_t stack;
    uint32_t domain;
    uint64_t thread;       /* number of the thread state, never used again; 0: none */
    uint64_t thread_ident; /* threading.get_ident() */
    uint64_t number;       /* of the bucket: never used again, unlike its row */
    Sums allocated;
} Bucket;

typedef struct {
    Strings strings;
    Locations locations;
    Stacks stacks;
    Bucket *buckets;
    uint32_t bucket_count;
    Index bucket_index;
} Sites;

static inline double
larger(double left, double right)
{
    return left > right ? left : right;
}

/* Horvitz-Thompson: a sample of a block of S bytes taken with probability p stands for S / p bytes
 * and 1 / p blocks; each sample is weighted by itself, then summed (mixed sizes bias the rest). */
static inline void
sums_add(Sums *sums, double size_bytes, double probability)
{
    double weight = 1.0 / probability;
    double count_variance = (1.0 - probability) * weight * weight;
    double bytes_variance = size_bytes * size_bytes * count_variance;
    sums->bytes += size_bytes * weight;
    sums->bytes_variance += bytes_variance;
    sums->bytes_largest = larger(sums->bytes_largest, bytes_variance);
    sums->count += weight;
    sums->count_variance += count_variance;
    sums->count_largest = larger(sums->count_largest, count_variance);
    sums->samples++;
}

static void
sums_merge(Sums *into, const Sums *from)
{
    into->bytes += from->bytes;
    into->bytes_variance += from->bytes_variance;
    into->bytes_largest = larger(into->bytes_largest, from->bytes_largest);
    into->count += from->count;
    into->count_variance += from->count_variance;
    into->count_largest = larger(into->count_largest, from->count_largest);
    into->samples += from->samples;
}

/* Returns the row of the bucket, made where there is none; `*full` is set where it found no room. */
static uint32_t
sites_bucket(Sites *sites, const Bucket *key, uint64_t *next_number, bool *full)
{
    uint64_t hash = mix64(((uint64_t)key->stack << 8 | key->domain) ^ mix64(key->thread));
    uint32_t slot = index_home(&sites->bucket_index, hash);
    for (; sites->bucket_index.slots[slot] != 0; slot = index_after(&sites->bucket_index, slot)) {
        uint32_t row = sites->bucket_index.slots[slot] - 1;
        const Bucket *bucket = &sites->buckets[row];
        if (bucket->stack == key->stack && bucket->domain == key->domain &&
            bucket->thread == key->thread) {
            return row;
        }
    }
    if (sites->bucket_count == BUCKET_CAPACITY) {
        *full = true;
        return key->domain;
    }
    Bucket *bucket = &sites->buckets[sites->bucket_count++];
    *bucket = *key;
    bucket->number = (*next_number)++;
    memset(&bucket->allocated, 0, sizeof(Sums));
    sites->bucket_index.slots[slot] = sites->bucket_count;
    return sites->bucket_count - 1;
}

static void
sites_destroy(Sites *sites)
{
    strings_destroy(&sites->strings);
    locations_destroy(&sites->locations);
    stacks_destroy(&sites->stacks);
    memory_unmap(sites->buckets, BUCKET_CAPACITY * sizeof(Bucket));
    index_destroy(&sites->bucket_index);
    memset(sites, 0, sizeof(*sites));
}

static bool
sites_create(Sites *sites)
{
    memset(sites, 0, sizeof(*sites));
    sites->buckets = memory_map(BUCKET_CAPACITY * sizeof(Bucket));
    if (!sites->buckets || !index_create(&sites->bucket_index, BUCKET_CAPACITY) ||
        !strings_create(&sites->strings, STRING_CAPACITY, STRING_CAPACITY_BYTES) ||
        !locations_create(&sites->locations, &sites->strings, LOCATION_CAPACITY) ||
        !stacks_create(&sites->stacks, STACK_CAPACITY, STACK_FRAME_CAPACITY)) {
        sites_destroy(sites);
        return false;
    }
    bool full = false;
    uint64_t number = 0;
    for (uint32_t domain = 0; domain < DOMAIN_COUNT; domain++) {
        Bucket key = {.stack = STACK_OTHER, .domain = domain};
        sites_bucket(sites, &key, &number, &full);
    }
    return true;
}

/* The largest share of a table that is in use, 0 to 1. */
static double
sites_load(const Sites *sites)
{
    const double loads[] = {
        (double)sites->bucket_count / BUCKET_CAPACITY,
        (double)sites->stacks.count / STACK_CAPACITY,
        (double)sites->stacks.used_frames / STACK_FRAME_CAPACITY,
        (double)sites->locations.count / LOCATION_CAPACITY,
        (double)sites->strings.count / STRING_CAPACITY,
        (double)sites->strings.used_bytes / STRING_CAPACITY_BYTES,
    };
    double highest = 0;
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        highest = loads[i] > highest ? loads[i] : highest;
    }
    return highest;
}

#endif
