/* birth_steps, mark_born, reach_marked and share_sizes, as Python calls them. */
#include "graph/growth.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"

enum { MAX_STEPS = UINT16_MAX };

/* Check that each column names only nodes of the one before it. */
static int
check_steps(const Column *columns, Py_ssize_t step_count, Py_ssize_t first_count)
{
    Py_ssize_t before = first_count;
    for (Py_ssize_t step = 0; step < step_count; step++) {
        if (numbers_check(&columns[step], "same", before) < 0) {
            return -1;
        }
        before = columns[step].length;
    }
    return length_check(&columns[step_count - 1], "same", before);
}

static PyObject *
births_of(PyObject *array_type, const Column *columns, Py_ssize_t step_count)
{
    Result birth = {NULL};
    PyObject *found = NULL;
    Py_ssize_t count = columns[step_count - 1].length;
    const uint32_t **same = PyMem_Calloc((size_t)step_count, sizeof *same);
    if (same == NULL) {
        return PyErr_NoMemory();
    }
    for (Py_ssize_t step = 0; step < step_count; step++) {
        same[step] = columns[step].data;
    }
    if (result_new(&birth, array_type, 'H', count) == 0) {
        Py_BEGIN_ALLOW_THREADS
        find_births(same, (size_t)step_count, (size_t)count, birth.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&birth);
    }
    PyMem_Free(same);
    return found;
}

PyObject *
graph_birth_steps(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"matches", "first_count", NULL};
    PyObject *matches, *found = NULL;
    Py_ssize_t first_count;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "On:birth_steps", names, &matches, &first_count)
        || (matches = PySequence_Tuple(matches)) == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_Size(matches), read = 0;
    Column *columns = PyMem_Calloc(count > 0 ? (size_t)count : 1, sizeof *columns);
    if (columns == NULL) {
        PyErr_NoMemory();
    }
    else if (count < 1 || count > MAX_STEPS) {
        PyErr_Format(PyExc_ValueError, "matches must be 1 to %d columns, not %zd", MAX_STEPS, count);
    }
    else {
        while (read < count
               && column_read(&columns[read], PyTuple_GetItem(matches, read), "same", 'I') == 0) {
            read++;
        }
        if (read == count && check_steps(columns, count, first_count) == 0) {
            found = births_of(module_state(module)->array_type, columns, count);
        }
    }
    columns_release(columns, (int)read);
    PyMem_Free(columns);
    Py_DECREF(matches);
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
