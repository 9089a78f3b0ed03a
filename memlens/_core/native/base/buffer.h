/* Growable arrays straight from the operating system.
 *
 * Python's allocators are not used: a capture must not allocate objects, hooks on those
 * allocators must not see it, and a forked child must not touch the parent's pages. Where mremap
 * exists, an array grows without a second copy. A page takes memory only once it is written. */
#ifndef MEMLENS_BASE_BUFFER_H
#define MEMLENS_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    char *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes reserved */
} Buffer;

/* Make room for `extra` more bytes. Returns -1 when there is no memory. */
int buffer_reserve(Buffer *buffer, size_t extra);

/* Exactly `size` bytes of zeros, all in use. Returns -1 when there is no memory. */
int buffer_zeros(Buffer *buffer, size_t size);

/* Free the memory. The buffer is then empty and may be used again. */
void buffer_free(Buffer *buffer);

/* Free the memory that is reserved but not in use. */
void buffer_trim(Buffer *buffer);

/* The content of a buffer as an array, and the number of its items. */
#define ITEMS(buffer, type) ((type *)(buffer).data)
#define COUNT(buffer, type) ((buffer).size / sizeof(type))

/* Append `bytes` bytes. Returns -1 when there is no memory. */
static inline int
buffer_push(Buffer *buffer, const void *row, size_t bytes)
{
    if (buffer->capacity - buffer->size < bytes && buffer_reserve(buffer, bytes) < 0) {
        return -1;
    }
    memcpy(buffer->data + buffer->size, row, bytes);
    buffer->size += bytes;
    return 0;
}

#define DEFINE_PUSH(name, type)                                                     \
    static inline int name(Buffer *buffer, type value)                              \
    {                                                                               \
        if (buffer->capacity - buffer->size < sizeof(type)                          \
            && buffer_reserve(buffer, sizeof(type)) < 0) {                          \
            return -1;                                                              \
        }                                                                           \
        *(type *)(buffer->data + buffer->size) = value;                             \
        buffer->size += sizeof(type);                                               \
        return 0;                                                                   \
    }

DEFINE_PUSH(push_u8, uint8_t)
DEFINE_PUSH(push_u16, uint16_t)
DEFINE_PUSH(push_u32, uint32_t)
DEFINE_PUSH(push_u64, uint64_t)

#endif
