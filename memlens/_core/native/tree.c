#include "tree.h"

Tree
tree_of(const uint32_t *parent, uint32_t count)
{
    Tree tree = {{NULL, NULL, 0}, parent, count, 1};
    for (uint32_t node = 0; node < count; node++) {
        tree.is_ordered &= parent[node] == NODE_NONE || parent[node] < node;
    }
    return tree;
}

int
tree_read(Tree *tree, PyObject *dominator)
{
    tree->column = (Column){NULL, NULL, 0};
    if (column_read(&tree->column, dominator, "dominator", 'I') < 0) {
        return -1;
    }
    const uint32_t *parent = tree->column.data;
    Py_ssize_t count = tree->column.length;
    int64_t highest = 0;
    for (Py_ssize_t node = 0; node < count; node++) {
        if (parent[node] != NODE_NONE && parent[node] > highest) {
            highest = parent[node];
        }
    }
    if (count == 0) {
        PyErr_SetString(PyExc_ValueError, "dominator is empty: without node 0 there is no tree");
    }
    else if (count >= (Py_ssize_t)NODE_NONE) {
        PyErr_SetString(PyExc_ValueError, "dominator has more nodes than 32 bits can number");
    }
    else if (highest >= count) {
        PyErr_Format(PyExc_ValueError, "dominator names node %lld of only %zd nodes",
                     (long long)highest, count);
    }
    else {
        Column column = tree->column;
        *tree = tree_of(parent, (uint32_t)count);
        tree->column = column;
        return 0;
    }
    column_release(&tree->column);
    return -1;
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

int
visit_downwards(const Tree *tree, void (*visit)(void *, uint32_t node, uint32_t parent), void *arg)
{
    if (tree->is_ordered) {
        for (uint32_t node = 0; node < tree->count; node++) {
            visit(arg, node, tree->parent[node]);
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
                 node = next_below(tree, &lists, top, node, NULL, NULL)) {
                visit(arg, node, tree->parent[node]);
            }
        }
    }
    buffer_free(&lists.memory);
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
