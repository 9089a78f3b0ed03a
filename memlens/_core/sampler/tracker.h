/* The sampler: what it holds, how a block enters it and leaves it, how it stays within bounds.
 *
 * There is one sampler in the process, and it is static: allocator hooks belong to the process, not
 * to a module, and may be called as long as the process lives. Nothing in it belongs to an
 * interpreter.
 *
 * The lock is a leaf. Under it the sampler calls nothing of CPython, takes no other lock of memlens,
 * and never allocates through the hooked domains, which would take the lock again. It does allocate
 * from the system: pages from mmap where tables are made (a start, making room), and libc's malloc
 * for the copy that an export works on and within qsort. Neither of them calls back. Every such
 * failure leaves the tables as they were, or removes them and sets `ready` to false.
 *
 * The GIL already orders nearly all callers. It does not order interpreters with a GIL of their own,
 * nor extensions that allocate without it.
 *
 * Forks: nobody holds the lock while a process forks. The handlers that other libraries register for
 * forks may run Python (uvloop, gRPC), wait for other threads, or start them; a lock held around them
 * would stop them, or stop another thread that has the GIL they wait for. Instead the child checks:
 * a lock that is set in a process other than `tracker.pid` belonged to a thread that the fork did not
 * copy. See `tracker_take_over`. */

#ifndef MEMLENS_SAMPLER_TRACKER_H
#define MEMLENS_SAMPLER_TRACKER_H

#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#include "samples.h"
#include "walk.h"

#ifdef CLOCK_MONOTONIC_COARSE
#define CLOCK_OF_BIRTHS CLOCK_MONOTONIC_COARSE /* milliseconds will do, and it is five times cheaper */
#else
#define CLOCK_OF_BIRTHS CLOCK_MONOTONIC
#endif

#define TIMED_EVERY 32        /* one sample in so many is timed */
#define COMPACT_PAUSE 4096    /* samples between two attempts to make room */
#define SUPPRESSED_THREADS 16
#define OUT_OF_LINE __attribute__((noinline))

typedef struct {
    uint64_t samples, dropped_samples, thinnings, compactions, evicted_buckets, unplaced_samples;
    uint64_t replaced_samples, frees_of_samples, filter_hits, native_samples, suppressed_samples;
    uint64_t timed_samples, timed_ns;
    uint64_t lost_tables; /* see tracker_take_over */
} Counters;

typedef struct {
    bool ready;     /* tables exist */
    char locked;
    pid_t pid;      /* of the process that uses the tables; 0 before the first start */
    uint32_t epoch; /* changes when rows of buckets do */
    uint32_t capacity;
    uint64_t interval_bytes;
    uint64_t sequence, next_bucket_number, compact_after;
    uint64_t starts, sums_begun; /* how often the tables, and the sums, began empty */
    Prng prng;
    Sites sites;
    Samples samples;
    Walk walk;
    Counters counters;
    uint64_t suppressed[SUPPRESSED_THREADS]; /* numbers of thread states plus one */
} Tracker;

static Tracker tracker;

/* Makes empty tables; what was in `samples`, `sites` and `walk` is overwritten. The caller holds the
 * lock. False: no memory, and no tables. */
static bool
tracker_create_tables(void)
{
    tracker.ready = samples_create(&tracker.samples, tracker.capacity) &&
                    sites_create(&tracker.sites) && walk_create(&tracker.walk);
    if (!tracker.ready) {
        samples_destroy(&tracker.samples);
        sites_destroy(&tracker.sites);
        walk_destroy(&tracker.walk);
    }
    return tracker.ready;
}

/* Goes on in a forked child with a lock whose holder exists only in the parent: a thread without the
 * GIL was changing the tables at the fork. They may be half changed, so the child begins with empty
 * ones. The old ones stay mapped: the pointers to them may be half changed too. The mappings are
 * shared with the parent until written to, and go when the child ends or calls exec. */
static OUT_OF_LINE void
tracker_take_over(void)
{
    bool ready = tracker.ready;
    memset(&tracker.samples, 0, sizeof(tracker.samples));
    memset(&tracker.sites, 0, sizeof(tracker.sites));
    memset(&tracker.walk, 0, sizeof(tracker.walk));
    filter_reset();
    tracker.epoch++;
    tracker.counters.lost_tables++;
    if (ready) {
        tracker_create_tables();
    }
}

/* Tells whether the lock that is set belonged to a thread of the parent process. Only one thread of a
 * child is told so. `fork_child` makes the answer false for good; before it runs, the lock can only
 * be held rightfully by a thread that a fork handler of another library started, and that allocates
 * without the GIL. No such library is known. */
static OUT_OF_LINE bool
tracker_is_orphaned(void)
{
    pid_t here = getpid();
    pid_t known = __atomic_load_n(&tracker.pid, __ATOMIC_RELAXED);
    return known != 0 && known != here &&
           __atomic_compare_exchange_n(&tracker.pid, &known, here, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

static void
tracker_lock(void)
{
    while (__atomic_test_and_set(&tracker.locked, __ATOMIC_ACQUIRE)) {
        if (tracker_is_orphaned()) {
            tracker_take_over(); /* the lock stays set: it is ours now */
            return;
        }
        sched_yield();
    }
}

static void
tracker_unlock(void)
{
    __atomic_clear(&tracker.locked, __ATOMIC_RELEASE);
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The probability that a block holds a point of a Poisson process with one point an interval. Every
 * block counts one byte more than was asked for, so that empty ones can be sampled too. */
static double
inclusion_probability(uint64_t size_bytes, uint64_t interval_bytes)
{
    if (interval_bytes <= 1) {
        return 1.0;
    }
    return -expm1(-((double)size_bytes + 1.0) / (double)interval_bytes);
}

/* Doubles the interval until a quarter of the table is free; each sample stays with the ratio of its
 * new probability to its old one, and is weighted by the new one from then on. */
static void
tracker_thin(void)
{
    Samples *samples = &tracker.samples;
    while (samples->count > samples->capacity / 4 * 3) {
        tracker.interval_bytes *= 2;
        tracker.counters.thinnings++;
        for (uint32_t row = 0; row < samples->rows_used; row++) {
            Sample *sample = &samples->rows[row];
            double kept = inclusion_probability(sample->size_bytes, tracker.interval_bytes);
            if (sample->address == 0 || kept >= sample->probability) {
                continue;
            }
            if (prng_unit(&tracker.prng) * sample->probability <= kept) {
                sample->probability = kept;
                continue;
            }
            filter_remove((void *)(uintptr_t)sample->address);
            samples_remove(samples, sample);
            tracker.counters.dropped_samples++;
        }
    }
}

static bool
tracker_take_locked(const void *address, Sample *taken)
{
    tracker.counters.filter_hits++;
    walk_forget_code(&tracker.walk, address);
    Sample *sample = samples_find(&tracker.samples, (uintptr_t)address);
    if (sample == NULL) {
        return false;
    }
    *taken = *sample;
    filter_remove(address);
    samples_remove(&tracker.samples, sample);
    return true;
}

/* Takes a block out before it is freed or moved: afterwards its address may belong to another. */
static bool
tracker_take(const void *address, Sample *taken)
{
    bool found = false;
    tracker_lock();
    if (tracker.ready) {
        found = tracker_take_locked(address, taken);
        tracker.counters.frees_of_samples += found;
        taken->epoch = tracker.epoch;
    }
    tracker_unlock();
    return found;
}

static void
tracker_add_locked(const Sample *sample)
{
    Sample old;
    if (samples_find(&tracker.samples, sample->address) != NULL) {
        tracker.counters.replaced_samples++; /* its free was never seen */
        tracker_take_locked((void *)(uintptr_t)sample->address, &old);
    }
    if (tracker.samples.count == tracker.samples.capacity) {
        tracker_thin();
    }
    filter_add((void *)(uintptr_t)sample->address);
    samples_add(&tracker.samples, sample);
}

/* Puts a block back whose move failed. */
static void
tracker_put_back(const Sample *sample)
{
    tracker_lock();
    if (tracker.ready && sample->epoch == tracker.epoch) {
        tracker_add_locked(sample);
    }
    tracker_unlock();
}

static bool
tracker_is_suppressed(uint64_t thread)
{
    for (uint32_t i = 0; i < SUPPRESSED_THREADS; i++) {
        if (tracker.suppressed[i] == thread + 1) {
            return true;
        }
    }
    return false;
}

#include "compact.h"

/* The bucket of the running thread's stack, in this domain. */
static uint32_t
tracker_bucket(PyThreadState *tstate, uint64_t thread, uint32_t domain)
{
    bool full = false;
    Bucket key = {.domain = domain, .thread = thread, .thread_ident = PyThread_get_thread_ident()};
    key.stack = tstate ? walk_stack(&tracker.walk, &tracker.sites, tstate, &full) : STACK_NATIVE;
    tracker.counters.native_samples += key.stack == STACK_NATIVE;
    uint32_t bucket = sites_bucket(&tracker.sites, &key, &tracker.next_bucket_number, &full);
    if (!full) {
        return bucket;
    }
    if (tracker.sequence >= tracker.compact_after) {
        tracker.compact_after = tracker.sequence + COMPACT_PAUSE;
        if (tracker_compact()) {
            return tracker_bucket(tstate, thread, domain);
        }
    }
    tracker.counters.unplaced_samples++;
    return bucket;
}

static void
tracker_record_locked(const void *address, size_t size_bytes, uint32_t domain)
{
    PyThreadState *tstate = thread_state_here();
    uint64_t thread = tstate != NULL ? thread_state_number(tstate) : 0;
    if (tracker_is_suppressed(thread)) {
        tracker.counters.suppressed_samples++;
        return;
    }
    Sample sample = {
        .address = (uintptr_t)address,
        .size_bytes = size_bytes,
        .birth_ns = clock_ns(CLOCK_OF_BIRTHS),
        .sequence = tracker.sequence,
        .bucket = tracker_bucket(tstate, thread, domain),
        .probability = inclusion_probability(size_bytes, tracker.interval_bytes),
    };
    tracker.sequence++;
    tracker.counters.samples++;
    sums_add(&tracker.sites.buckets[sample.bucket].allocated, (double)size_bytes,
             sample.probability);
    tracker_add_locked(&sample);
}

/* Records a block and returns the bytes until the next sample. A block that could not be allocated
 * (NULL) is not recorded. */
static int64_t
tracker_sample(const void *address, size_t size_bytes, uint32_t domain)
{
    int64_t distance = INT64_MAX;
    tracker_lock();
    if (tracker.ready) {
        bool timed = tracker.sequence % TIMED_EVERY == 0;
        uint64_t begin = timed ? clock_ns(CLOCK_MONOTONIC) : 0;
        if (address != NULL) {
            tracker_record_locked(address, size_bytes, domain);
        }
        distance = prng_distance(&tracker.prng, tracker.interval_bytes);
        if (timed) {
            tracker.counters.timed_samples++;
            tracker.counters.timed_ns += clock_ns(CLOCK_MONOTONIC) - begin;
        }
    }
    tracker_unlock();
    return distance;
}

static void
tracker_destroy_locked(void)
{
    tracker.ready = false;
    samples_destroy(&tracker.samples);
    sites_destroy(&tracker.sites);
    walk_destroy(&tracker.walk);
    filter_reset();
    tracker.epoch++;
}

/* Begins empty. False: no memory. */
static bool
tracker_create(uint64_t interval_bytes, uint32_t capacity, uint64_t seed)
{
    tracker_lock();
    tracker_destroy_locked();
    __atomic_store_n(&tracker.pid, getpid(), __ATOMIC_RELAXED);
    tracker.capacity = capacity;
    bool ready = tracker_create_tables();
    tracker.starts++;
    tracker.sums_begun++;
    memset(&tracker.counters, 0, sizeof(tracker.counters));
    memset(tracker.suppressed, 0, sizeof(tracker.suppressed));
    tracker.interval_bytes = interval_bytes;
    tracker.sequence = 0;
    tracker.compact_after = 0;
    tracker.next_bucket_number = DOMAIN_COUNT;
    tracker.prng.state = seed;
    if (seed == 0) {
        prng_stir(&tracker.prng);
    }
    tracker_unlock();
    return ready;
}

static void
tracker_destroy(void)
{
    tracker_lock();
    tracker_destroy_locked();
    tracker_unlock();
}

/* Sums of what was allocated begin again; live samples stay. For a forked child: what its parent
 * allocated would else be counted twice. */
static void
tracker_forget_sums(void)
{
    tracker_lock();
    tracker.sums_begun++;
    for (uint32_t row = 0; tracker.ready && row < tracker.sites.bucket_count; row++) {
        memset(&tracker.sites.buckets[row].allocated, 0, sizeof(Sums));
    }
    tracker_unlock();
}

#endif
