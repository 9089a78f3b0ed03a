/* The sampler's own random numbers: splitmix64, and exponential distances drawn from it.
 *
 * Not libc's rand(): that one takes a lock, which a forked child may find held for ever.
 * The caller holds the sampler's lock. */

#ifndef MEMLENS_SAMPLER_PRNG_H
#define MEMLENS_SAMPLER_PRNG_H

#include <math.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    uint64_t state;
} Prng;

/* Spreads the bits of a word: the finalizer of splitmix64, also used to hash integers. */
static inline uint64_t
mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t
prng_next(Prng *prng)
{
    prng->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix64(prng->state);
}

/* A number in (0, 1]: never 0, whose logarithm would stop the sampling for good. */
static inline double
prng_unit(Prng *prng)
{
    return (double)((prng_next(prng) >> 11) + 1) * 0x1p-53;
}

/* Makes a forked child's numbers differ from its parent's. No allocation, no lock. */
static void
prng_stir(Prng *prng)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t moment = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    prng->state = mix64(prng->state ^ mix64(moment) ^ ((uint64_t)getpid() << 32));
}

/* Bytes until the next sample: exponential with the given mean, rounded down (a block is sampled
 * when the bytes since the last sample exceed it, so that the rounding loses nothing). */
static int64_t
prng_distance(Prng *prng, uint64_t mean_bytes)
{
    if (mean_bytes <= 1) {
        return 0; /* exact: every block */
    }
    double distance = -log(prng_unit(prng)) * (double)mean_bytes;
    double limit = 64.0 * (double)mean_bytes;
    if (limit > 0x1p62) {
        limit = 0x1p62;
    }
    return (int64_t)(distance < limit ? distance : limit);
}

#endif
