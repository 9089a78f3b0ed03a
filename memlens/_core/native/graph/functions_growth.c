/* birth_steps, mark_born, reach_marked and share_sizes, as Python calls them. */
#include "graph/growth.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"

PyObject *
graph_birth_steps(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"same", "before", "step", NULL};
    static const ColumnName columns_of[] = {{"same", 'I'}, {"before", 'H'}};
    PyObject *given[2], *found = NULL;
    long long step;
    Column columns[2];
    Result birth = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOL:birth_steps", names, &given[0], &given[1],
                                     &step)
        || columns_read(columns, given, columns_of, 2) < 0) {
        return NULL;
    }
    if (step < 0 || step > UINT16_MAX) {
        PyErr_Format(PyExc_ValueError, "step must be from 0 to 65535, not %lld", step);
    }
    else if (numbers_check(&columns[0], "same", columns[1].length) == 0
             && result_new(&birth, module_state(module)->array_type, 'H', columns[0].length) == 0) {
        Py_BEGIN_ALLOW_THREADS
        find_births(columns[0].data, columns[1].data, (size_t)columns[0].length, (uint16_t)step,
                    birth.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&birth);
    }
    columns_release(columns, 2);
    return found;
}

PyObject *
graph_mark_born(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"birth", "since", "node_flags", "skip_flags", NULL};
    static const ColumnName columns_of[] = {{"birth", 'H'}, {"node_flags", 'H'}};
    PyObject *given[2], *found = NULL;
    unsigned int since;
    long long skip_flags;
    Column columns[2];
    Result mark = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OIOL:mark_born", names, &given[0], &since,
                                     &given[1], &skip_flags)
        || columns_read(columns, given, columns_of, 2) < 0) {
        return NULL;
    }
    if (length_check(&columns[1], "node_flags", columns[0].length) == 0
        && flags_check(skip_flags, "skip_flags") == 0
        && result_new(&mark, module_state(module)->array_type, 'B', columns[0].length) == 0) {
        Py_BEGIN_ALLOW_THREADS
        mark_born(columns[0].data, columns[1].data, (size_t)columns[0].length, since,
                  (unsigned)skip_flags, mark.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&mark);
    }
    columns_release(columns, 2);
    return found;
}

PyObject *
graph_reach_marked(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "mark", "entry", NULL};
    static const ColumnName columns_of[] = {{"mark", 'B'}, {"entry", 'I'}};
    PyObject *offset, *target, *label, *given[2], *array = NULL;
    EdgeColumns edges;
    Column columns[2];
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO:reach_marked", names, &offset, &target,
                                     &label, &given[0], &given[1])
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    if (columns_read(columns, given, columns_of, 2) == 0) {
        const uint32_t *entry = columns[1].data;
        int fits = length_check(&columns[0], "mark", edges.graph.node_count) == 0;
        for (Py_ssize_t i = 0; i < columns[1].length && fits; i++) {
            if (entry[i] >= edges.graph.node_count) {
                PyErr_Format(PyExc_ValueError, "entry names %u of only %u", entry[i],
                             edges.graph.node_count);
                fits = 0;
            }
        }
        if (fits) {
            int failed;
            Py_BEGIN_ALLOW_THREADS
            failed = reach_marked(&edges.graph, columns[0].data, entry, (size_t)columns[1].length,
                                  &found) < 0;
            Py_END_ALLOW_THREADS
            array = result_of_numbers(module_state(module)->array_type, &found, failed);
        }
        columns_release(columns, 2);
    }
    edges_release(&edges);
    return array;
}

PyObject *
graph_share_sizes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_size", "row_offset", "row_node", NULL};
    static const ColumnName columns_of[] = {{"row_offset", 'Q'}, {"row_node", 'I'}};
    PyObject *size, *given[2], *found = NULL;
    Column sizes = NO_COLUMN, columns[2];
    Buffer counts = {NULL, 0, 0};
    Result share = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:share_sizes", names, &size, &given[0],
                                     &given[1])
        || columns_read(columns, given, columns_of, 2) < 0) {
        return NULL;
    }
    if (column_read(&sizes, size, "node_size", 'Q') == 0
        && rows_check(&columns[0], &columns[1], sizes.length) == 0
        && result_new(&share, module_state(module)->array_type, 'Q', columns[0].length - 1) == 0) {
        if (buffer_zeros(&counts, (size_t)sizes.length * sizeof(uint32_t)) < 0) {
            PyErr_NoMemory();
        }
        else {
            Py_BEGIN_ALLOW_THREADS
            share_sizes(sizes.data, columns[0].data, (size_t)columns[0].length - 1,
                        columns[1].data, (uint32_t *)counts.data, share.view.buf);
            Py_END_ALLOW_THREADS
            found = result_take(&share);
        }
    }
    result_drop(&share);
    buffer_free(&counts);
    column_release(&sizes);
    columns_release(columns, 2);
    return found;
}
