/* The nodes with the highest values: no Python object, no GIL. A forked child ranks as well. */
#ifndef MEMLENS_GRAPH_RANKING_H
#define MEMLENS_GRAPH_RANKING_H

#include <stddef.h>
#include <stdint.h>

/* Fill `largest` (room for `most`) with nodes, the highest value first, of equal ones the lower
 * node; node 0 and what has a bit of `skip_flags` are left out. Returns how many there are. */
size_t rank_largest(const uint64_t *value, const uint16_t *flags, size_t node_count,
                    unsigned skip_flags, uint32_t *largest, size_t most);

#endif
