/* What the sampler holds, as flat columns of bytes: copied under the lock, shaped afterwards.
 *
 * The names and types of the columns are described in memlens/_core/sampler_api.py. */

#ifndef MEMLENS_SAMPLER_EXPORT_H
#define MEMLENS_SAMPLER_EXPORT_H

#include "tracker.h"

/* A copy of the tables, in memory of libc. Each row of `live` belongs to the bucket of that row. */
typedef struct {
    Strings strings;
    Locations locations;
    Stacks stacks;
    Bucket *buckets;
    Sums *live;
    double *births_ns; /* sums: of a full table, after weeks of uptime, beyond 64 bits */
    uint64_t *oldest_ns;
    Sample *samples;
    uint32_t bucket_count, sample_count;
    uint64_t sequence, starts, sums_begun;
} Copy;

static void *
copy_rows(const void *rows, size_t count, size_t row_bytes)
{
    void *copy = malloc(count * row_bytes + 1);
    if (copy != NULL) {
        memcpy(copy, rows, count * row_bytes);
    }
    return copy;
}

static void
copy_release(Copy *copy)
{
    void *parts[] = {copy->strings.bytes,    copy->strings.offsets, copy->locations.rows,
                     copy->stacks.offsets,   copy->stacks.frames,   copy->buckets,
                     copy->live,             copy->births_ns,       copy->oldest_ns,
                     copy->samples};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        free(parts[i]);
    }
}

static void
copy_tables(Copy *copy, const Sites *sites)
{
    copy->strings.count = sites->strings.count;
    copy->strings.bytes = copy_rows(sites->strings.bytes, sites->strings.used_bytes, 1);
    copy->strings.used_bytes = sites->strings.used_bytes;
    copy->strings.offsets = copy_rows(sites->strings.offsets, (size_t)sites->strings.count + 1, 4);
    copy->locations.count = sites->locations.count;
    copy->locations.rows =
        copy_rows(sites->locations.rows, sites->locations.count, sizeof(Location));
    copy->stacks.count = sites->stacks.count;
    copy->stacks.used_frames = sites->stacks.used_frames;
    copy->stacks.offsets = copy_rows(sites->stacks.offsets, (size_t)sites->stacks.count + 1, 4);
    copy->stacks.frames = copy_rows(sites->stacks.frames, sites->stacks.used_frames, 4);
    copy->bucket_count = sites->bucket_count;
    copy->buckets = copy_rows(sites->buckets, sites->bucket_count, sizeof(Bucket));
    copy->live = calloc(sites->bucket_count, sizeof(Sums));
    copy->births_ns = calloc(sites->bucket_count, sizeof(double));
    copy->oldest_ns = calloc(sites->bucket_count, sizeof(uint64_t));
}

static void
copy_samples(Copy *copy, const Samples *samples, uint64_t since)
{
    for (uint32_t row = 0; row < samples->rows_used; row++) {
        const Sample *sample = &samples->rows[row];
        if (sample->address == 0 || sample->sequence < since) {
            continue;
        }
        copy->samples[copy->sample_count++] = *sample;
        uint32_t bucket = sample->bucket;
        sums_add(&copy->live[bucket], (double)sample->size_bytes, sample->probability);
        copy->births_ns[bucket] += (double)sample->birth_ns;
        if (copy->oldest_ns[bucket] == 0 || sample->birth_ns < copy->oldest_ns[bucket]) {
            copy->oldest_ns[bucket] = sample->birth_ns;
        }
    }
}

/* False: no memory (all parts are still to be released). */
static bool
copy_tracker(Copy *copy, uint64_t since)
{
    memset(copy, 0, sizeof(*copy));
    tracker_lock();
    if (tracker.ready) {
        copy_tables(copy, &tracker.sites);
        copy->samples = malloc(tracker.samples.rows_used * sizeof(Sample) + 1);
    }
    copy->sequence = tracker.sequence;
    copy->starts = tracker.starts;
    copy->sums_begun = tracker.sums_begun;
    bool complete = copy->strings.bytes && copy->strings.offsets && copy->locations.rows &&
                    copy->stacks.offsets && copy->stacks.frames && copy->buckets && copy->live &&
                    copy->births_ns && copy->oldest_ns && copy->samples;
    if (complete) {
        copy_samples(copy, &tracker.samples, since);
    }
    tracker_unlock();
    return complete;
}

/* Adds `count` items of `width` bytes, `stride` bytes apart, as one bytes object. */
static int
add_column(PyObject *columns, const char *name, const void *first, size_t count, size_t width,
           size_t stride)
{
    PyObject *column = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * width));
    if (column == NULL) {
        return -1;
    }
    char *out = PyBytes_AS_STRING(column);
    const char *in = first;
    if (width == stride) {
        memcpy(out, in, count * width);
    }
    else {
        for (size_t i = 0; i < count; i++) {
            memcpy(out + i * width, in + i * stride, width);
        }
    }
    int failed = PyDict_SetItemString(columns, name, column);
    Py_DECREF(column);
    return failed;
}

#define ADD_FIELD(columns, name, rows, count, field) \
    add_column(columns, name, &(rows)->field, count, sizeof((rows)->field), sizeof(*(rows)))
#define ADD_ARRAY(columns, name, rows, count) \
    add_column(columns, name, rows, count, sizeof(*(rows)), sizeof(*(rows)))

static int
add_tables(PyObject *columns, const Copy *copy)
{
    const Locations *locations = &copy->locations;
    return ADD_ARRAY(columns, "string_bytes", copy->strings.bytes, copy->strings.used_bytes) ||
           ADD_ARRAY(columns, "string_offset", copy->strings.offsets, copy->strings.count + 1) ||
           ADD_FIELD(columns, "location_function", locations->rows, locations->count, function) ||
           ADD_FIELD(columns, "location_file", locations->rows, locations->count, file) ||
           ADD_FIELD(columns, "location_line", locations->rows, locations->count, line) ||
           ADD_ARRAY(columns, "stack_offset", copy->stacks.offsets, copy->stacks.count + 1) ||
           ADD_ARRAY(columns, "stack_location", copy->stacks.frames, copy->stacks.used_frames);
}

#define SUMS_COLUMNS 7

static int
add_sums(PyObject *columns, const char *const names[SUMS_COLUMNS], const Sums *first, size_t count,
         size_t stride)
{
    const void *fields[SUMS_COLUMNS] = {
        &first->bytes, &first->bytes_variance, &first->bytes_largest, &first->count,
        &first->count_variance, &first->count_largest, &first->samples};
    for (int i = 0; i < SUMS_COLUMNS; i++) {
        if (add_column(columns, names[i], fields[i], count, 8, stride)) {
            return -1;
        }
    }
    return 0;
}

static int
add_buckets(PyObject *columns, const Copy *copy)
{
    static const char *const allocated[SUMS_COLUMNS] = {
        "allocated_bytes", "allocated_bytes_variance", "allocated_bytes_largest",
        "allocated_count", "allocated_count_variance", "allocated_count_largest",
        "allocated_samples"};
    static const char *const live[SUMS_COLUMNS] = {
        "live_bytes", "live_bytes_variance", "live_bytes_largest",
        "live_count", "live_count_variance", "live_count_largest",
        "live_samples"};
    size_t count = copy->bucket_count;
    return ADD_FIELD(columns, "bucket_number", copy->buckets, count, number) ||
           ADD_FIELD(columns, "bucket_stack", copy->buckets, count, stack) ||
           ADD_FIELD(columns, "bucket_domain", copy->buckets, count, domain) ||
           ADD_FIELD(columns, "bucket_thread", copy->buckets, count, thread) ||
           ADD_FIELD(columns, "bucket_thread_ident", copy->buckets, count, thread_ident) ||
           add_sums(columns, allocated, &copy->buckets->allocated, count, sizeof(Bucket)) ||
           add_sums(columns, live, copy->live, count, sizeof(Sums)) ||
           ADD_ARRAY(columns, "next_sequence", &copy->sequence, 1) ||
           ADD_ARRAY(columns, "starts", &copy->starts, 1) ||
           ADD_ARRAY(columns, "sums_begun", &copy->sums_begun, 1) ||
           ADD_ARRAY(columns, "live_births_ns", copy->births_ns, count) ||
           ADD_ARRAY(columns, "live_oldest_ns", copy->oldest_ns, count);
}

static int
add_samples(PyObject *columns, const Copy *copy)
{
    size_t count = copy->sample_count;
    return ADD_FIELD(columns, "sample_address", copy->samples, count, address) ||
           ADD_FIELD(columns, "sample_size", copy->samples, count, size_bytes) ||
           ADD_FIELD(columns, "sample_probability", copy->samples, count, probability) ||
           ADD_FIELD(columns, "sample_birth_ns", copy->samples, count, birth_ns) ||
           ADD_FIELD(columns, "sample_sequence", copy->samples, count, sequence) ||
           ADD_FIELD(columns, "sample_bucket", copy->samples, count, bucket);
}

#endif
