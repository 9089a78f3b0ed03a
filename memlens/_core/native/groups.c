/* What groups of nodes retain: a walk down the dominator tree that knows the groups above a node. */
#include "module.h"
#include "results.h"
#include "tree.h"

static const Column no_column = {NULL, NULL, 0};

typedef struct {
    const uint32_t *group;
    const uint64_t *retained;
    const uint16_t *flags;
    unsigned skip_flags;
    uint64_t *totals;
    uint32_t *open_count; /* of each group: its counted nodes on the way down to where the walk is */
    int overflowed;
} Sums;

static inline int
is_counted(const Sums *sums, uint32_t node)
{
    return node != 0 && !(sums->flags[node] & sums->skip_flags);
}

static void
add_node(Sums *sums, uint32_t node)
{
    uint64_t *total = &sums->totals[sums->group[node]];
    *total += sums->retained[node];
    sums->overflowed |= *total < sums->retained[node];
}

static void
leave_node(void *arg, uint32_t node)
{
    Sums *sums = arg;
    if (is_counted(sums, node)) {
        sums->open_count[sums->group[node]]--;
    }
}

/* Only the topmost of a group counts below node 0; what nothing reaches counts by itself. */
static int
add_groups(const Tree *tree, Sums *sums, Py_ssize_t group_count)
{
    Buffer open = {NULL, 0, 0};
    Lists lists = {{NULL, 0, 0}, NULL, NULL};
    if (buffer_zeros(&open, (size_t)group_count * sizeof(uint32_t)) < 0
        || lists_make(&lists, tree) < 0) {
        buffer_free(&open);
        return -1;
    }
    sums->open_count = (uint32_t *)open.data;
    for (uint32_t node = 0; node < tree->count; node++) {
        if (tree->parent[node] == NODE_NONE && is_counted(sums, node)) {
            add_node(sums, node);
        }
    }
    uint32_t node = tree->parent[0] == NODE_NONE ? 0 : NODE_NONE;
    for (; node != NODE_NONE; node = next_below(tree, &lists, 0, node, leave_node, sums)) {
        if (is_counted(sums, node) && sums->open_count[sums->group[node]]++ == 0) {
            add_node(sums, node);
        }
    }
    buffer_free(&lists.memory);
    buffer_free(&open);
    return 0;
}

static int
check_groups(const Column *groups, long long group_count)
{
    const uint32_t *group = groups->data;
    uint32_t last = 0;
    for (Py_ssize_t node = 0; node < groups->length; node++) {
        last = group[node] > last ? group[node] : last;
    }
    if ((long long)last >= group_count) {
        PyErr_Format(PyExc_ValueError, "group names group %u of only %lld groups", last, group_count);
        return -1;
    }
    return 0;
}

PyObject *
native_retained_by_group(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator",   "retained",   "group", "group_count",
                            "node_flags", "skip_flags", NULL};
    PyObject *dominator, *retained, *group, *flag, *found = NULL;
    long long group_count, skip_flags = 0;
    Tree tree;
    Column groups = no_column, sizes = no_column, flags = no_column;
    Result totals = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOLO|L:retained_by_group", names, &dominator,
                                     &retained, &group, &group_count, &flag, &skip_flags)
        || tree_read(&tree, dominator) < 0) {
        return NULL;
    }
    if (node_column_read(&groups, group, "group", 'I', tree.count) == 0
        && check_groups(&groups, group_count) == 0
        && node_column_read(&sizes, retained, "retained", 'Q', tree.count) == 0
        && flags_check(skip_flags, "skip_flags") == 0
        && node_column_read(&flags, flag, "node_flags", 'H', tree.count) == 0
        && result_new(&totals, module_state(module)->array_type, 'Q', (Py_ssize_t)group_count)
               == 0) {
        Sums sums = {groups.data, sizes.data, flags.data, (unsigned)skip_flags, totals.view.buf,
                     NULL, 0};
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = add_groups(&tree, &sums, (Py_ssize_t)group_count) < 0;
        Py_END_ALLOW_THREADS
        if (sums.overflowed) {
            PyErr_SetString(PyExc_OverflowError, "retained sums to more than 64 bits can hold");
        }
        else {
            found = failed ? PyErr_NoMemory() : result_take(&totals);
        }
    }
    result_drop(&totals);
    column_release(&flags);
    column_release(&sizes);
    column_release(&groups);
    column_release(&tree.column);
    return found;
}
