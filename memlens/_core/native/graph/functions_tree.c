/* children_rows, spread_flags, nearest_marked, subtree_sums and retained_by_group, as Python calls
 * them. */
#include "graph/columns.h"
#include "graph/groups.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/tree.h"

PyObject *
graph_children_rows(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator", NULL};
    PyObject *dominator, *pair = NULL, *array_type = module_state(module)->array_type;
    TreeColumn column;
    Result rows = {NULL}, children = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:children_rows", names, &dominator)
        || tree_column_read(&column, dominator) < 0) {
        return NULL;
    }
    if (result_new(&rows, array_type, 'Q', (Py_ssize_t)column.tree.count + 1) == 0) {
        uint64_t *offset = rows.view.buf;
        Py_BEGIN_ALLOW_THREADS
        tree_count_children(&column.tree, offset);
        Py_END_ALLOW_THREADS
        if (result_new(&children, array_type, 'I', (Py_ssize_t)offset[column.tree.count]) == 0) {
            int failed;
            Py_BEGIN_ALLOW_THREADS
            failed = tree_fill_children(&column.tree, offset, children.view.buf) < 0;
            Py_END_ALLOW_THREADS
            pair = failed ? PyErr_NoMemory()
                          : Py_BuildValue("NN", result_take(&rows), result_take(&children));
        }
    }
    result_drop(&rows);
    result_drop(&children);
    column_release(&column.column);
    return pair;
}

PyObject *
graph_spread_flags(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator", "node_flags", "mask", NULL};
    PyObject *dominator, *flag, *found = NULL;
    long long mask;
    TreeColumn column;
    Column flags = NO_COLUMN;
    Result spread = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOL:spread_flags", names, &dominator, &flag,
                                     &mask)
        || tree_column_read(&column, dominator) < 0) {
        return NULL;
    }
    if (node_column_read(&flags, flag, "node_flags", 'H', column.tree.count) == 0
        && flags_check(mask, "mask") == 0
        && result_new(&spread, module_state(module)->array_type, 'H', column.tree.count) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        memcpy(spread.view.buf, flags.data, (size_t)column.tree.count * sizeof(uint16_t));
        failed = tree_spread_flags(&column.tree, spread.view.buf, (unsigned)mask) < 0;
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory() : result_take(&spread);
    }
    result_drop(&spread);
    column_release(&flags);
    column_release(&column.column);
    return found;
}

PyObject *
graph_nearest_marked(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator", "mark", NULL};
    PyObject *dominator, *mark, *found = NULL;
    TreeColumn column;
    Column marks = NO_COLUMN;
    Result nearest = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:nearest_marked", names, &dominator, &mark)
        || tree_column_read(&column, dominator) < 0) {
        return NULL;
    }
    if (node_column_read(&marks, mark, "mark", 'B', column.tree.count) == 0
        && result_new(&nearest, module_state(module)->array_type, 'I', column.tree.count) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = tree_nearest_marked(&column.tree, marks.data, nearest.view.buf) < 0;
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory() : result_take(&nearest);
    }
    result_drop(&nearest);
    column_release(&marks);
    column_release(&column.column);
    return found;
}

PyObject *
graph_subtree_sums(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator", "node_size", NULL};
    PyObject *dominator, *size, *found = NULL;
    TreeColumn column;
    Column sizes = NO_COLUMN;
    Result sums = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:subtree_sums", names, &dominator, &size)
        || tree_column_read(&column, dominator) < 0) {
        return NULL;
    }
    if (sizes_read(&sizes, size, column.tree.count) == 0
        && result_new(&sums, module_state(module)->array_type, 'Q', column.tree.count) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        memcpy(sums.view.buf, sizes.data, (size_t)column.tree.count * sizeof(uint64_t));
        failed = tree_add_up(&column.tree, sums.view.buf) < 0;
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory() : result_take(&sums);
    }
    result_drop(&sums);
    column_release(&sizes);
    column_release(&column.column);
    return found;
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
graph_retained_by_group(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator",   "retained",   "group", "group_count",
                            "node_flags", "skip_flags", NULL};
    PyObject *dominator, *retained, *group, *flag, *found = NULL;
    long long group_count, skip_flags = 0;
    TreeColumn column;
    Column groups = NO_COLUMN, sizes = NO_COLUMN, flags = NO_COLUMN;
    Result totals = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOLO|L:retained_by_group", names, &dominator,
                                     &retained, &group, &group_count, &flag, &skip_flags)
        || tree_column_read(&column, dominator) < 0) {
        return NULL;
    }
    if (node_column_read(&groups, group, "group", 'I', column.tree.count) == 0
        && check_groups(&groups, group_count) == 0
        && node_column_read(&sizes, retained, "retained", 'Q', column.tree.count) == 0
        && flags_check(skip_flags, "skip_flags") == 0
        && node_column_read(&flags, flag, "node_flags", 'H', column.tree.count) == 0
        && result_new(&totals, module_state(module)->array_type, 'Q', (Py_ssize_t)group_count)
               == 0) {
        GroupInput input = {groups.data, sizes.data, flags.data, (unsigned)skip_flags};
        int outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = add_groups(&column.tree, &input, (size_t)group_count, totals.view.buf);
        Py_END_ALLOW_THREADS
        if (outcome > 0) {
            PyErr_SetString(PyExc_OverflowError, "retained sums to more than 64 bits can hold");
        }
        else {
            found = outcome < 0 ? PyErr_NoMemory() : result_take(&totals);
        }
    }
    result_drop(&totals);
    column_release(&flags);
    column_release(&sizes);
    column_release(&groups);
    column_release(&column.column);
    return found;
}
