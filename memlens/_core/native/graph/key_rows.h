/* Rows of equal keys, for columns in which few of many keys are different. */
#ifndef MEMLENS_GRAPH_KEY_ROWS_H
#define MEMLENS_GRAPH_KEY_ROWS_H

#include "base/buffer.h"

/* What is grouped: the marked nodes that have none of `skip_flags`. */
typedef struct {
    const uint64_t *key;
    const uint8_t *mark;
    const uint16_t *flags;
    size_t node_count;
    unsigned skip_flags;
} KeyedNodes;

/* The different keys. The memory that they take does not depend on the number of nodes. */
typedef struct {
    Buffer slots; /* a power of two of u32: the number of a row plus 1, 0 for an empty place */
    Buffer keys;  /* u64 by row, in the order in which they were found */
    Buffer ends;  /* u64 by row: how many nodes it has; after the ordering, where the next one goes */
    uint32_t last; /* the row of the last lookup: neighbours often have one key */
} KeyRows;

#define NO_KEY_ROWS ((KeyRows){{NULL, 0, 0}, {NULL, 0, 0}, {NULL, 0, 0}, 0})

/* Count the nodes of each key, and all of them. Returns -1 when there is no memory. */
int key_rows_count(KeyRows *rows, const KeyedNodes *nodes, size_t *total);

/* Write the keys, ascending, and the offsets of their rows, one more than there are keys. Returns -1
 * when there is no memory. */
int key_rows_order(KeyRows *rows, uint64_t *key, uint64_t *offset);

/* Write the nodes, ascending in each row. Rows must have been ordered. */
void key_rows_fill(KeyRows *rows, const KeyedNodes *nodes, uint32_t *found);

/* Write the number of each node's key, in the order in which keys are first found, and add the keys
 * to `rows`. Returns -1 when there is no memory. */
int key_rows_number(KeyRows *rows, const uint64_t *key, size_t count, uint32_t *number);

void key_rows_free(KeyRows *rows);

#endif
