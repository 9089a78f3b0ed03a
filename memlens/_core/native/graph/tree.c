/* Over the dominator tree: pure/trees.py, on arrays. */
#include "graph/tree.h"

Tree
tree_of(const uint32_t *parent, uint32_t count)
{
    Tree tree = {parent, count, 1};
    for (uint32_t node = 0; node < count; node++) {
        tree.is_ordered &= parent[node] == NODE_NONE || parent[node] < node;
    }
    return tree;
}

int
lists_make(Lists *lists, const Tree *tree)
{
    lists->memory = (Buffer){NULL, 0, 0};
    if (buffer_zeros(&lists->memory, (size_t)tree->count * 2 * sizeof(uint32_t)) < 0) {
        return -1;
    }
    lists->first = (uint32_t *)lists->memory.data;
    lists->next = lists->first + tree->count;
    memset(lists->first, 0xff, lists->memory.size);
    for (uint32_t node = tree->count; node-- > 0;) {
        uint32_t parent = tree->parent[node];
        if (parent != NODE_NONE) {
            lists->next[node] = lists->first[parent];
            lists->first[parent] = node;
        }
    }
    return 0;
}

enum { NEW, ON_TRAIL, VISITED, OUTSIDE }; /* OUTSIDE: on a circle, or below one */

/* Push a node and those above it that are new. Returns whether they hang on the top of a tree: 1, or
 * 0 for a circle, or -1 when there is no memory. */
static int
climb(const Tree *tree, uint8_t *state, uint32_t node, Buffer *trail)
{
    while (state[node] == NEW) {
        state[node] = ON_TRAIL;
        if (push_u32(trail, node) < 0) {
            return -1;
        }
        if (tree->parent[node] == NODE_NONE) {
            return 1;
        }
        node = tree->parent[node];
    }
    return state[node] == VISITED;
}

/* Lists of children would take 8 bytes a node: here a node is visited once those above it are. */
static int
visit_unordered(const Tree *tree, void (*visit)(void *, uint32_t node, uint32_t parent), void *arg)
{
    Buffer states = {NULL, 0, 0}, trail = {NULL, 0, 0};
    int outcome = buffer_zeros(&states, tree->count) < 0 ? -1 : 0;
    uint8_t *state = ITEMS(states, uint8_t);
    for (uint32_t start = 0; start < tree->count && outcome >= 0; start++) {
        outcome = climb(tree, state, start, &trail);
        while (outcome >= 0 && trail.size != 0) {
            trail.size -= sizeof(uint32_t);
            uint32_t node = ITEMS(trail, uint32_t)[COUNT(trail, uint32_t)];
            state[node] = outcome ? VISITED : OUTSIDE;
            if (outcome) {
                visit(arg, node, tree->parent[node]);
            }
        }
    }
    buffer_free(&states);
    buffer_free(&trail);
    return outcome < 0 ? -1 : 0;
}

int
visit_downwards(const Tree *tree, void (*visit)(void *, uint32_t node, uint32_t parent), void *arg)
{
    if (!tree->is_ordered) {
        return visit_unordered(tree, visit, arg);
    }
    for (uint32_t node = 0; node < tree->count; node++) {
        visit(arg, node, tree->parent[node]);
    }
    return 0;
}

typedef struct {
    uint16_t *flags;
    uint16_t mask;
} Spread;

static void
hand_down(void *arg, uint32_t node, uint32_t parent)
{
    Spread *spread = arg;
    if (parent != NODE_NONE) {
        spread->flags[node] |= spread->flags[parent] & spread->mask;
    }
}

int
tree_spread_flags(const Tree *tree, uint16_t *flags, unsigned mask)
{
    Spread spread = {flags, (uint16_t)mask};
    return visit_downwards(tree, hand_down, &spread);
}

typedef struct {
    const uint32_t *parent;
    uint64_t *value;
} Sums;

static void
hand_up(void *arg, uint32_t node)
{
    Sums *sums = arg;
    if (sums->parent[node] != NODE_NONE) {
        sums->value[sums->parent[node]] += sums->value[node];
    }
}

int
tree_add_up(const Tree *tree, uint64_t *value)
{
    Sums sums = {tree->parent, value};
    if (tree->is_ordered) {
        for (uint32_t node = tree->count; node-- > 0;) {
            hand_up(&sums, node);
        }
        return 0;
    }
    Lists lists;
    if (lists_make(&lists, tree) < 0) {
        return -1;
    }
    for (uint32_t top = 0; top < tree->count; top++) {
        if (tree->parent[top] == NODE_NONE) {
            for (uint32_t node = top; node != NODE_NONE;
                 node = next_below(tree, &lists, top, node, hand_up, &sums)) {
            }
        }
    }
    buffer_free(&lists.memory);
    return 0;
}

int
tree_leave_out(const Tree *tree, const uint16_t *flags, unsigned mask, uint64_t *retained)
{
    Buffer memory = {NULL, 0, 0};
    if (buffer_zeros(&memory, (size_t)tree->count * sizeof(uint64_t)) < 0) {
        return -1;
    }
    uint64_t *out = (uint64_t *)memory.data; /* in the first marked nodes from the top, then above */
    for (uint32_t node = 0; node < tree->count; node++) {
        uint32_t parent = tree->parent[node];
        if ((flags[node] & mask) && parent != NODE_NONE && !(flags[parent] & mask)) {
            out[node] = retained[node];
        }
    }
    int failed = tree_add_up(tree, out) < 0;
    for (uint32_t node = 0; node < tree->count && !failed; node++) {
        retained[node] -= flags[node] & mask ? 0 : out[node];
    }
    buffer_free(&memory);
    return failed ? -1 : 0;
}

typedef struct {
    const uint8_t *mark;
    uint32_t *nearest;
} Nearest;

static void
find_nearest(void *arg, uint32_t node, uint32_t parent)
{
    Nearest *work = arg;
    work->nearest[node] = work->mark[node] ? node
                          : parent == NODE_NONE ? NODE_NONE
                                                : work->nearest[parent];
}

int
tree_nearest_marked(const Tree *tree, const uint8_t *mark, uint32_t *nearest)
{
    Nearest work = {mark, nearest};
    memset(nearest, 0xff, (size_t)tree->count * sizeof(uint32_t));
    return visit_downwards(tree, find_nearest, &work);
}

void
tree_count_children(const Tree *tree, uint64_t *offset)
{
    for (uint32_t node = 0; node < tree->count; node++) {
        if (tree->parent[node] != NODE_NONE) {
            offset[tree->parent[node] + 1]++;
        }
    }
    for (uint32_t node = 0; node < tree->count; node++) {
        offset[node + 1] += offset[node];
    }
}

int
tree_fill_children(const Tree *tree, const uint64_t *offset, uint32_t *children)
{
    Buffer memory = {NULL, 0, 0};
    if (buffer_zeros(&memory, (size_t)tree->count * sizeof(uint64_t)) < 0) {
        return -1;
    }
    uint64_t *next = (uint64_t *)memory.data;
    memcpy(next, offset, (size_t)tree->count * sizeof(uint64_t));
    for (uint32_t node = 0; node < tree->count; node++) {
        if (tree->parent[node] != NODE_NONE) {
            children[next[tree->parent[node]]++] = node;
        }
    }
    buffer_free(&memory);
    return 0;
}
