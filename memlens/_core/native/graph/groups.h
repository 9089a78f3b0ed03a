/* What groups of nodes retain. */
#ifndef MEMLENS_GRAPH_GROUPS_H
#define MEMLENS_GRAPH_GROUPS_H

#include "graph/tree.h"

typedef struct {
    const uint32_t *group;    /* of each node */
    const uint64_t *retained; /* of each node */
    const uint16_t *flags;    /* of each node */
    unsigned skip_flags;      /* nodes with one of these are not counted */
} GroupInput;

/* totals: group_count zeros. Returns 0; -1 when there is no memory; 1 when a sum takes more than 64
 * bits. */
int add_groups(const Tree *tree, const GroupInput *input, size_t group_count, uint64_t *totals);

#endif
