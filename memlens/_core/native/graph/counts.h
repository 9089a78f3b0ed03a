/* What is counted, keyed or matched node by node. */
#ifndef MEMLENS_GRAPH_COUNTS_H
#define MEMLENS_GRAPH_COUNTS_H

#include <stddef.h>
#include <stdint.h>

void add_up_types(const uint32_t *type, const uint64_t *size, const uint16_t *flags,
                  uint64_t node_count, unsigned skip_flags, uint64_t *counts, uint64_t *bytes);

/* What an object is recognised by: its address, the key of its type, and its size where the type
 * is sized. */
typedef struct {
    const uint64_t *address;
    const uint32_t *type;
    const uint64_t *size;
    const uint64_t *type_key;
    const uint8_t *type_is_sized;
    uint64_t count;
} Identities;

/* Returns 0; -1 when there is no memory; 1 for an address twice in heap a. */
int match_addresses(const Identities *a, const Identities *b, uint32_t *matched);

/* Matches as runs: of nodes that follow each other and match nodes that do, or that match none. A run
 * is its first node in the upper half, what that matches in the lower. Writes the runs, unless NULL,
 * and returns their number. */
size_t find_match_runs(const uint32_t *same, size_t count, uint64_t *runs);

/* The reverse. The runs begin at node 0, ascend and match below NODE_NONE. */
void expand_match_runs(const uint64_t *runs, size_t run_count, size_t count, uint32_t *same);

/* Clear the bits of `mark` everywhere; set them for each pair of `same` in which neither node has a
 * bit of `skip_flags`. */
void mark_pairs(const uint32_t *same, size_t count_b, uint16_t *flags_a, size_t count_a,
                uint16_t *flags_b, unsigned skip_flags, unsigned mark);

#endif
