/* Zeroed memory for the sampler's tables: never from an allocator that the sampler watches.
 *
 * Pages come from mmap, so that a table costs only what was used of it. Under AddressSanitizer they
 * come from calloc, whose red zones show an overrun. */

#ifndef MEMLENS_SAMPLER_MEMORY_H
#define MEMLENS_SAMPLER_MEMORY_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

static void *
memory_map(size_t size_bytes)
{
#ifdef __SANITIZE_ADDRESS__
    return calloc(1, size_bytes);
#else
    void *start = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return start == MAP_FAILED ? NULL : start;
#endif
}

/* Memory that is touched at random: its pages are there from the start, so that none of them has to
 * be faulted in within an allocation of the program's. */
static void *
memory_map_touched(size_t size_bytes)
{
    unsigned char *start = memory_map(size_bytes);
    for (size_t i = 0; start != NULL && i < size_bytes; i += 4096) {
        ((volatile unsigned char *)start)[i] = 0;
    }
    return start;
}

static void
memory_unmap(void *start, size_t size_bytes)
{
    if (start == NULL) {
        return;
    }
#ifdef __SANITIZE_ADDRESS__
    (void)size_bytes;
    free(start);
#else
    (void)munmap(start, size_bytes);
#endif
}

#endif
