/* Making room where stacks, lines or names fill their tables: the least buckets are given up.
 *
 * Part of tracker.h. A bucket stays if a live sample is in it or if it is among the upper
 * half by bytes allocated; the sums of the others go to their domain's bucket for the rest. The
 * tables are copied into fresh ones, so that names and lines of the others go too.
 * The caller holds the lock. */

#ifndef MEMLENS_SAMPLER_COMPACT_H
#define MEMLENS_SAMPLER_COMPACT_H

static int
compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static bool
mark_kept_buckets(const Sites *sites, uint32_t *kept)
{
    double *bytes = memory_map(sites->bucket_count * sizeof(double));
    if (bytes == NULL) {
        return false;
    }
    for (uint32_t row = 0; row < sites->bucket_count; row++) {
        bytes[row] = sites->buckets[row].allocated.bytes;
    }
    qsort(bytes, sites->bucket_count, sizeof(double), compare_doubles);
    double median = bytes[sites->bucket_count / 2];
    memory_unmap(bytes, sites->bucket_count * sizeof(double));
    uint32_t count = 0;
    for (uint32_t row = 0; row < sites->bucket_count; row++) {
        kept[row] = row < DOMAIN_COUNT || sites->buckets[row].allocated.bytes > median;
    }
    for (uint32_t row = 0; row < tracker.samples.rows_used; row++) {
        if (tracker.samples.rows[row].address != 0) {
            kept[tracker.samples.rows[row].bucket] = 1;
        }
    }
    for (uint32_t row = 0; row < sites->bucket_count; row++) {
        count += kept[row];
    }
    return count <= sites->bucket_count / 8 * 7; /* less room is not worth the copy */
}

static uint32_t
copy_string(const Sites *from, Sites *to, uint32_t id, bool *full)
{
    uint32_t offset = from->strings.offsets[id];
    return strings_intern(&to->strings, from->strings.bytes + offset,
                          from->strings.offsets[id + 1] - offset, full);
}

static uint32_t
copy_stack(const Sites *from, Sites *to, uint32_t id, bool *full)
{
    uint32_t frames[FRAMES_KEPT + 1];
    uint32_t offset = from->stacks.offsets[id];
    uint32_t length = from->stacks.offsets[id + 1] - offset;
    for (uint32_t i = 0; i < length; i++) {
        Location location = from->locations.rows[from->stacks.frames[offset + i]];
        location.function = copy_string(from, to, location.function, full);
        location.file = copy_string(from, to, location.file, full);
        frames[i] = locations_intern(&to->locations, location, full);
    }
    return stacks_intern(&to->stacks, frames, length, full);
}

/* Fills `rows` (on entry: which to keep) with the new row of every bucket. */
static void
copy_buckets(const Sites *from, Sites *to, uint32_t *rows)
{
    bool full = false; /* cannot be: the new tables are as large as the old ones */
    for (uint32_t row = 0; row < from->bucket_count; row++) {
        const Bucket *bucket = &from->buckets[row];
        uint64_t number = bucket->number;
        if (!rows[row]) {
            rows[row] = bucket->domain;
            tracker.counters.evicted_buckets++;
        }
        else {
            Bucket key = *bucket;
            key.stack = copy_stack(from, to, bucket->stack, &full);
            rows[row] = sites_bucket(to, &key, &number, &full);
        }
        sums_merge(&to->buckets[rows[row]].allocated, &bucket->allocated);
    }
}

static bool
tracker_compact(void)
{
    static uint32_t rows[BUCKET_CAPACITY];
    Sites fresh;
    if (!mark_kept_buckets(&tracker.sites, rows) || !sites_create(&fresh)) {
        return false;
    }
    copy_buckets(&tracker.sites, &fresh, rows);
    for (uint32_t row = 0; row < tracker.samples.rows_used; row++) {
        Sample *sample = &tracker.samples.rows[row];
        if (sample->address != 0) {
            sample->bucket = rows[sample->bucket];
        }
    }
    sites_destroy(&tracker.sites);
    tracker.sites = fresh;
    tracker.epoch++;
    walk_flush(&tracker.walk);
    tracker.counters.compactions++;
    return true;
}

#endif
