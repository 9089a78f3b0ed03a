/* What is new in a heap, and what it adds up to: the loops of the search for leaks. */
#ifndef MEMLENS_GRAPH_GROWTH_H
#define MEMLENS_GRAPH_GROWTH_H

#include "graph/graph.h"

/* The snapshot in which each object of the last was first seen: `same[k]` names valid nodes of snapshot
 * k for those of k + 1. */
void find_births(const uint32_t *const *same, size_t step_count, size_t count, uint16_t *birth);

/* 1 for each node born after `since` that has none of `skip_flags`. */
void mark_born(const uint16_t *birth, const uint16_t *flags, size_t count, uint32_t since,
               unsigned skip_flags, uint8_t *mark);

/* Append to `found` the marked nodes that `entry` reaches over strong edges and marked nodes.
 * Returns -1 when there is no memory. */
int reach_marked(const Graph *graph, const uint8_t *mark, const uint32_t *entry,
                 size_t entry_count, Buffer *found);

/* Of each row the sum of its nodes' sizes, each divided by the number of rows that name the node.
 * `count` is scratch: node_count zeros. */
void share_sizes(const uint64_t *size, const uint64_t *offset, size_t row_count,
                 const uint32_t *node, uint32_t *count, uint64_t *share);

/* What tells the length of a node: its number of elements where it is known, else that of its strong
 * references. Containers ascend. */
typedef struct {
    const uint64_t *offset;
    const uint32_t *label;
    const uint32_t *container;
    const uint64_t *container_length;
    size_t container_count;
} LengthColumns;

/* The lengths of some nodes. */
void find_chosen_lengths(const LengthColumns *columns, const uint32_t *node, size_t count,
                         uint64_t *length);

/* Of each row the sum of its nodes' lengths; more than 32 bits can hold count as all that they can. */
void add_up_lengths(const LengthColumns *columns, const uint64_t *row_offset, size_t row_count,
                    const uint32_t *node, uint64_t *sum);

/* Append to `found` the nodes that are the same as an object before that is not listed (ascending).
 * Returns -1 when there is no memory. */
int list_unlisted(const uint32_t *node, size_t count, const uint32_t *same, const uint32_t *listed,
                  size_t listed_count, Buffer *found);

/* Of each row the sum by which its nodes are longer than the same objects were before. */
void add_up_gains(const LengthColumns *before, const LengthColumns *after, const uint32_t *same,
                  const uint64_t *row_offset, size_t row_count, const uint32_t *node,
                  uint64_t *gain);

/* The key of each text: two checksums of its bytes. Offsets ascend within the bytes. */
void find_text_keys(const uint64_t *offset, const uint8_t *bytes, size_t count, uint64_t *key);

#endif
