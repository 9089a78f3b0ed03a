/* What groups of nodes retain: a walk down the dominator tree that knows the groups above a
 * node. */
#include "graph/groups.h"

typedef struct {
    const GroupInput *input;
    uint64_t *totals;
    uint32_t *open_count; /* of each group: its counted nodes on the way down to where the walk is */
    int overflowed;
} Sums;

static inline int
is_counted(const Sums *sums, uint32_t node)
{
    return node != 0 && !(sums->input->flags[node] & sums->input->skip_flags);
}

static void
add_node(Sums *sums, uint32_t node)
{
    uint64_t *total = &sums->totals[sums->input->group[node]];
    *total += sums->input->retained[node];
    sums->overflowed |= *total < sums->input->retained[node];
}

static void
leave_node(void *arg, uint32_t node)
{
    Sums *sums = arg;
    if (is_counted(sums, node)) {
        sums->open_count[sums->input->group[node]]--;
    }
}

/* Only the topmost of a group counts below node 0; what nothing reaches counts by itself. */
static void
add_nodes(const Tree *tree, const Lists *lists, Sums *sums)
{
    for (uint32_t node = 0; node < tree->count; node++) {
        if (tree->parent[node] == NODE_NONE && is_counted(sums, node)) {
            add_node(sums, node);
        }
    }
    uint32_t node = tree->parent[0] == NODE_NONE ? 0 : NODE_NONE;
    for (; node != NODE_NONE; node = next_below(tree, lists, 0, node, leave_node, sums)) {
        if (is_counted(sums, node) && sums->open_count[sums->input->group[node]]++ == 0) {
            add_node(sums, node);
        }
    }
}

int
add_groups(const Tree *tree, const GroupInput *input, size_t group_count, uint64_t *totals)
{
    Buffer open = {NULL, 0, 0};
    Lists lists = {{NULL, 0, 0}, NULL, NULL};
    if (buffer_zeros(&open, group_count * sizeof(uint32_t)) < 0 || lists_make(&lists, tree) < 0) {
        buffer_free(&open);
        return -1;
    }
    Sums sums = {input, totals, ITEMS(open, uint32_t), 0};
    add_nodes(tree, &lists, &sums);
    buffer_free(&lists.memory);
    buffer_free(&open);
    return sums.overflowed;
}
