/* count_types and largest_nodes, as Python calls them. */
#include "graph/columns.h"
#include "graph/counts.h"
#include "graph/module.h"
#include "graph/ranking.h"
#include "graph/results.h"

static int
check_counted(const Column *types, long long type_count, long long skip_flags)
{
    const uint32_t *type = types->data;
    uint32_t last = 0;
    for (Py_ssize_t node = 0; node < types->length; node++) {
        last = type[node] > last ? type[node] : last;
    }
    if ((long long)last >= type_count) {
        PyErr_Format(PyExc_ValueError, "node_type names type %u of only %lld types", last, type_count);
        return -1;
    }
    return flags_check(skip_flags, "skip_flags");
}

static int
read_counted(Column *types, Column *flags, Column *sizes, PyObject *type, PyObject *size,
             PyObject *flag)
{
    if (column_read(types, type, "node_type", 'I') < 0) {
        return -1;
    }
    if (types->length == 0) {
        PyErr_SetString(PyExc_ValueError, "node_type is empty: without node 0 there is no heap");
        return -1;
    }
    if (node_column_read(flags, flag, "node_flags", 'H', types->length) < 0) {
        return -1;
    }
    return sizes_read(sizes, size, types->length);
}

PyObject *
graph_count_types(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_type", "node_size", "node_flags", "type_count", "skip_flags", NULL};
    PyObject *type, *size, *flag, *pair = NULL, *array_type = module_state(module)->array_type;
    long long type_count, skip_flags = 0;
    Column types = NO_COLUMN, flags = types, sizes = types;
    Result counts = {NULL}, bytes = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOL|L:count_types", names, &type, &size, &flag,
                                     &type_count, &skip_flags)) {
        return NULL;
    }
    if (read_counted(&types, &flags, &sizes, type, size, flag) == 0
        && check_counted(&types, type_count, skip_flags) == 0
        && result_new(&counts, array_type, 'Q', (Py_ssize_t)type_count) == 0
        && result_new(&bytes, array_type, 'Q', (Py_ssize_t)type_count) == 0) {
        Py_BEGIN_ALLOW_THREADS
        add_up_types(types.data, sizes.data, flags.data, (uint64_t)types.length,
                     (unsigned)skip_flags, counts.view.buf, bytes.view.buf);
        Py_END_ALLOW_THREADS
        pair = Py_BuildValue("NN", result_take(&counts), result_take(&bytes));
    }
    result_drop(&counts);
    result_drop(&bytes);
    column_release(&types);
    column_release(&flags);
    column_release(&sizes);
    return pair;
}

static size_t
count_shown(const uint16_t *flags, size_t node_count, unsigned skip_flags)
{
    size_t count = 0;
    for (size_t node = 1; node < node_count; node++) {
        count += !(flags[node] & skip_flags);
    }
    return count;
}

PyObject *
graph_largest_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_value", "node_flags", "count", "skip_flags", NULL};
    PyObject *value, *flag, *found = NULL;
    long long most, skip_flags = 0;
    Column values = NO_COLUMN, flags = NO_COLUMN;
    Result largest = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOL|L:largest_nodes", names, &value, &flag,
                                     &most, &skip_flags)
        || column_read(&values, value, "node_value", 'Q') < 0) {
        return NULL;
    }
    if (values.length >= (Py_ssize_t)NODE_NONE) {
        PyErr_SetString(PyExc_ValueError, "node_value has more nodes than 32 bits can number");
    }
    else if (node_column_read(&flags, flag, "node_flags", 'H', values.length) == 0
             && flags_check(skip_flags, "skip_flags") == 0) {
        size_t shown = count_shown(flags.data, (size_t)values.length, (unsigned)skip_flags);
        shown = most >= 0 && (uint64_t)most < shown ? (size_t)most : shown;
        if (most < 0) {
            PyErr_Format(PyExc_ValueError, "count must not be negative, but is %lld", most);
        }
        else if (result_new(&largest, module_state(module)->array_type, 'I', (Py_ssize_t)shown)
                 == 0) {
            Py_BEGIN_ALLOW_THREADS
            rank_largest(values.data, flags.data, (size_t)values.length, (unsigned)skip_flags,
                         largest.view.buf, shown);
            Py_END_ALLOW_THREADS
            found = result_take(&largest);
        }
    }
    result_drop(&largest);
    column_release(&flags);
    column_release(&values);
    return found;
}
