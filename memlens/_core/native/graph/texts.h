/* Numbers as decimal text, and the numbers by which a file names objects. */
#ifndef MEMLENS_GRAPH_TEXTS_H
#define MEMLENS_GRAPH_TEXTS_H

#include "base/buffer.h"

typedef struct {
    const void *data;
    char typecode; /* B, I or Q */
} Numbers;

enum { DECIMAL_BYTES = 21 }; /* the longest number of 64 bits, and a comma */

/* Append the rows of some columns, each number with a comma after it. Returns -1 when there is no
 * memory. */
int append_rows(Buffer *text, const Numbers *columns, size_t column_count, size_t row_count);

typedef struct {
    const uint64_t *address;
    const uint32_t *type;
    const uint64_t *size;
    const uint64_t *type_key;
    const uint8_t *is_sized;
} NodeIdentities;

/* Give each node but node 0 a number from 1 below `limit`, which is greater than `count`: one that
 * follows from its identity, or the next free one. Returns -1 when there is no memory. */
int find_identity_numbers(const NodeIdentities *nodes, size_t count, uint32_t limit,
                          uint32_t *number);

#endif
