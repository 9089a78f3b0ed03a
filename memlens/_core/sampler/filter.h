/* Which addresses may be known to the sampler: asked on every free, so it must cost next to nothing.
 *
 * One bit for every 16 bytes of address, modulo 8 MiB, taken without hashing: blocks that lie
 * together share a cache line of the bitmap. A clear bit means surely unknown. Several addresses may
 * share a bit; their number is kept aside (touched only when a sample comes or goes) so that the bit
 * can be cleared with the last of them.
 *
 * Bits are set and cleared under the sampler's lock and read without it: a thread that frees a block
 * got its address from the thread that allocated it, and the bit was set before that. */

#ifndef MEMLENS_SAMPLER_FILTER_H
#define MEMLENS_SAMPLER_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FILTER_BITS (UINT32_C(1) << 19)
#define FILTER_STUCK 255 /* a saturated count is no longer known: the bit stays until the reset */

typedef struct {
    uint8_t bits[FILTER_BITS / 8];
    uint8_t counts[FILTER_BITS];
} Filter;

static Filter filter; /* static: the hooks read it for as long as the process lives */

static inline uint32_t
filter_position(const void *address)
{
    return (uint32_t)((uintptr_t)address >> 4) & (FILTER_BITS - 1);
}

static inline bool
filter_may_hold(const void *address)
{
    uint32_t position = filter_position(address);
    uint8_t byte = __atomic_load_n(&filter.bits[position >> 3], __ATOMIC_RELAXED);
    return (byte >> (position & 7)) & 1;
}

static void
filter_write(uint32_t position, bool set)
{
    uint8_t *byte = &filter.bits[position >> 3];
    uint8_t bit = (uint8_t)(1u << (position & 7));
    uint8_t value = set ? (uint8_t)(*byte | bit) : (uint8_t)(*byte & ~bit);
    __atomic_store_n(byte, value, __ATOMIC_RELAXED);
}

static void
filter_add(const void *address)
{
    uint32_t position = filter_position(address);
    if (filter.counts[position] != FILTER_STUCK) {
        filter.counts[position]++;
    }
    filter_write(position, true);
}

static void
filter_remove(const void *address)
{
    uint32_t position = filter_position(address);
    uint8_t *count = &filter.counts[position];
    if (*count == 0 || *count == FILTER_STUCK) {
        return;
    }
    if (--*count == 0) {
        filter_write(position, false);
    }
}

static void
filter_reset(void)
{
    memset(&filter, 0, sizeof(filter));
}

#endif
