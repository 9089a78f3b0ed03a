/* What is counted or matched node by node. */
#ifndef MEMLENS_COUNTS_H
#define MEMLENS_COUNTS_H

#include "table.h"

#include <stdint.h>

void add_up_types(const uint32_t *type, const uint64_t *size, const uint16_t *flags,
                  uint64_t node_count, unsigned skip_flags, uint64_t *counts, uint64_t *bytes);

/* Returns 0; -1 when there is no memory; 1 for an address twice in heap a. */
int match_addresses(const uint64_t *address_a, const uint64_t *key_a, uint64_t count_a,
                    const uint64_t *address_b, const uint64_t *key_b, uint64_t count_b,
                    uint32_t *matched);

#endif
