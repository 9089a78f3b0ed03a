#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* mremap */
#endif
#include "base/buffer.h"

#include <string.h>
#include <sys/mman.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

#define FIRST_BYTES ((size_t)1 << 16)
#define LARGE_BYTES ((size_t)1 << 21)

#ifdef MEMLENS_CHECKED_BUFFERS
/* Sanitizers and valgrind do not see where an array within a mapping ends. For them, arrays are
 * exact blocks from malloc without spare room. Such a build is for tests only. */
#include <stdlib.h>
#define PAGE_BYTES ((size_t)1)
#undef FIRST_BYTES
#define FIRST_BYTES ((size_t)1)
#define munmap(data, size) free_block(data, size)

static int
free_block(char *data, size_t size)
{
    (void)size;
    free(data);
    return 0;
}
#else
#define PAGE_BYTES ((size_t)1 << 16) /* at least a page everywhere; mappings are rounded to it */
#endif

static size_t
round_up(size_t size)
{
    return (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

#ifdef MEMLENS_CHECKED_BUFFERS

static char *
map_bytes(size_t size)
{
    return calloc(1, size);
}

static char *
remap_bytes(char *data, size_t used, size_t old_size, size_t new_size)
{
    char *moved = calloc(1, new_size);
    if (moved != NULL) {
        memcpy(moved, data, used < new_size ? used : new_size);
        free_block(data, old_size);
    }
    return moved;
}

#else

/* Large arrays are read at random: large pages save most of the misses where there are any. */
static char *
prefer_large_pages(void *data, size_t size)
{
#ifdef MADV_HUGEPAGE
    if (size >= LARGE_BYTES) {
        (void)madvise(data, size, MADV_HUGEPAGE); /* only a hint: it may fail */
    }
#endif
    return data;
}

static char *
map_bytes(size_t size)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return data == MAP_FAILED ? NULL : prefer_large_pages(data, size);
}

static char *
remap_bytes(char *data, size_t used, size_t old_size, size_t new_size)
{
#ifdef MREMAP_MAYMOVE
    (void)used;
    void *moved = mremap(data, old_size, new_size, MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? NULL : prefer_large_pages(moved, new_size);
#else
    char *moved = map_bytes(new_size);
    if (moved != NULL) {
        memcpy(moved, data, used < new_size ? used : new_size);
        munmap(data, old_size);
    }
    return moved;
#endif
}

#endif

int
buffer_reserve(Buffer *buffer, size_t extra)
{
    if (extra <= buffer->capacity - buffer->size) {
        return 0;
    }
    size_t wanted = buffer->size + extra;
    if (wanted < extra) {
        return -1;
    }
    size_t capacity = buffer->capacity + buffer->capacity / 2;
    capacity = round_up(capacity > wanted ? capacity : wanted);
    if (capacity < FIRST_BYTES) {
        capacity = FIRST_BYTES;
    }
    char *data = buffer->data == NULL
                     ? map_bytes(capacity)
                     : remap_bytes(buffer->data, buffer->size, buffer->capacity, capacity);
    if (data == NULL) {
        return -1;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int
buffer_zeros(Buffer *buffer, size_t size)
{
    buffer_free(buffer);
    if (buffer_reserve(buffer, size ? size : 1) < 0) {
        return -1;
    }
    buffer->size = size; /* fresh mappings are zeros */
    return 0;
}

void
buffer_trim(Buffer *buffer)
{
    size_t size = round_up(buffer->size);
    if (buffer->data == NULL || size >= buffer->capacity) {
        return;
    }
    if (size == 0) {
        buffer_free(buffer);
        return;
    }
#ifndef MEMLENS_CHECKED_BUFFERS
    munmap(buffer->data + size, buffer->capacity - size);
    buffer->capacity = size;
#endif
}

void
buffer_free(Buffer *buffer)
{
    if (buffer->data != NULL) {
        munmap(buffer->data, buffer->capacity);
    }
    *buffer = (Buffer){NULL, 0, 0};
}
