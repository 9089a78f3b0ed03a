/* group_nodes, node_lengths, chosen_lengths, unlisted_nodes, row_sums and row_gains, as Python
 * calls them. */
#include "graph/growth.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"

static size_t
list_marked(const uint8_t *mark, const uint16_t *flags, size_t count, unsigned skip_flags,
            uint32_t *found)
{
    size_t length = 0;
    for (size_t node = 0; node < count; node++) {
        if (mark[node] && !(flags[node] & skip_flags)) {
            if (found != NULL) {
                found[length] = (uint32_t)node;
            }
            length++;
        }
    }
    return length;
}

static size_t
count_rows(const uint64_t *rank, size_t count)
{
    size_t rows = count != 0;
    for (size_t i = 1; i < count; i++) {
        rows += rank[i] != rank[i - 1];
    }
    return rows;
}

static void
write_rows(const uint64_t *rank, size_t count, uint64_t *key, uint64_t *offset)
{
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || rank[i] != rank[i - 1]) {
            key[rows] = rank[i];
            offset[rows++] = i;
        }
    }
    offset[rows] = count;
}

/* Sort the marked nodes and return (keys, offsets, nodes). */
static PyObject *
grouped(PyObject *array_type, const Column *columns, unsigned skip_flags)
{
    size_t count = (size_t)columns[0].length;
    size_t marked = list_marked(columns[1].data, columns[2].data, count, skip_flags, NULL);
    Buffer rank = {NULL, 0, 0}, other = {NULL, 0, 0}, other_rank = {NULL, 0, 0};
    Result key = {NULL}, offset = {NULL}, node = {NULL};
    PyObject *rows = NULL;
    if (result_new(&node, array_type, 'I', (Py_ssize_t)marked) == 0) {
        int failed = buffer_zeros(&rank, marked * sizeof(uint64_t)) < 0
                     || buffer_zeros(&other, marked * sizeof(uint32_t)) < 0
                     || buffer_zeros(&other_rank, marked * sizeof(uint64_t)) < 0;
        if (failed) {
            PyErr_NoMemory();
        }
        else {
            size_t row_count;
            Py_BEGIN_ALLOW_THREADS
            list_marked(columns[1].data, columns[2].data, count, skip_flags, node.view.buf);
            sort_by_key(columns[0].data, node.view.buf, (uint64_t *)rank.data,
                        (uint32_t *)other.data, (uint64_t *)other_rank.data, marked);
            row_count = count_rows((uint64_t *)rank.data, marked);
            Py_END_ALLOW_THREADS
            if (result_new(&key, array_type, 'Q', (Py_ssize_t)row_count) == 0
                && result_new(&offset, array_type, 'Q', (Py_ssize_t)row_count + 1) == 0) {
                write_rows((uint64_t *)rank.data, marked, key.view.buf, offset.view.buf);
                rows = Py_BuildValue("NNN", result_take(&key), result_take(&offset),
                                     result_take(&node));
            }
        }
    }
    result_drop(&key);
    result_drop(&offset);
    result_drop(&node);
    buffer_free(&rank);
    buffer_free(&other);
    buffer_free(&other_rank);
    return rows;
}

PyObject *
graph_group_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"key", "mark", "node_flags", "skip_flags", NULL};
    static const ColumnName columns_of[] = {{"key", 'Q'}, {"mark", 'B'}, {"node_flags", 'H'}};
    PyObject *given[3], *rows = NULL;
    long long skip_flags;
    Column columns[3];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOL:group_nodes", names, &given[0], &given[1],
                                     &given[2], &skip_flags)
        || columns_read(columns, given, columns_of, 3) < 0) {
        return NULL;
    }
    if (length_check(&columns[1], "mark", columns[0].length) == 0
        && length_check(&columns[2], "node_flags", columns[0].length) == 0
        && flags_check(skip_flags, "skip_flags") == 0) {
        rows = grouped(module_state(module)->array_type, columns, (unsigned)skip_flags);
    }
    columns_release(columns, 3);
    return rows;
}

PyObject *
graph_node_lengths(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "container_node",
                            "container_length", NULL};
    static const ColumnName columns_of[] = {{"container_node", 'I'}, {"container_length", 'Q'}};
    PyObject *offset, *target, *label, *given[2], *found = NULL;
    EdgeColumns edges;
    Column columns[2];
    Result length = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO:node_lengths", names, &offset, &target,
                                     &label, &given[0], &given[1])
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    if (columns_read(columns, given, columns_of, 2) == 0) {
        const Graph *graph = &edges.graph;
        if (columns[0].length != columns[1].length) {
            PyErr_SetString(PyExc_ValueError,
                            "container_node and container_length must have the same length");
        }
        else if (ascending_check(&columns[0], "container_node", graph->node_count) == 0
                 && result_new(&length, module_state(module)->array_type, 'I', graph->node_count)
                        == 0) {
            Py_BEGIN_ALLOW_THREADS
            find_lengths(graph->offset, graph->label, graph->node_count, columns[0].data,
                         columns[1].data, (size_t)columns[0].length, length.view.buf);
            Py_END_ALLOW_THREADS
            found = result_take(&length);
        }
        columns_release(columns, 2);
    }
    edges_release(&edges);
    return found;
}

/* Whether the nodes exist and their rows are within the labels: nothing else is looked at. */
static int
check_chosen(const Column *columns)
{
    const uint64_t *offset = columns[0].data;
    const uint32_t *node = columns[4].data;
    if (nodes_check(&columns[4], "node", columns[0].length - 1) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < columns[4].length; i++) {
        if (offset[node[i]] > offset[node[i] + 1]
            || offset[node[i] + 1] > (uint64_t)columns[1].length) {
            PyErr_SetString(PyExc_ValueError, "edge_offset does not fit edge_label");
            return -1;
        }
    }
    if (columns[2].length != columns[3].length) {
        PyErr_SetString(PyExc_ValueError,
                        "container_node and container_length must have the same length");
        return -1;
    }
    return 0;
}

PyObject *
graph_chosen_lengths(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_label", "container_node", "container_length",
                            "node", NULL};
    static const ColumnName columns_of[] = {{"edge_offset", 'Q'},
                                            {"edge_label", 'I'},
                                            {"container_node", 'I'},
                                            {"container_length", 'Q'},
                                            {"node", 'I'}};
    PyObject *given[5], *found = NULL;
    Column columns[5];
    Result length = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO:chosen_lengths", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4])
        || columns_read(columns, given, columns_of, 5) < 0) {
        return NULL;
    }
    if (check_chosen(columns) == 0
        && result_new(&length, module_state(module)->array_type, 'Q', columns[4].length) == 0) {
        Py_BEGIN_ALLOW_THREADS
        find_chosen_lengths(columns[0].data, columns[1].data, columns[2].data, columns[3].data,
                            (size_t)columns[2].length, columns[4].data,
                            (size_t)columns[4].length, length.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&length);
    }
    columns_release(columns, 5);
    return found;
}

PyObject *
graph_unlisted_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node", "same", "listed", NULL};
    static const ColumnName columns_of[] = {{"node", 'I'}, {"same", 'I'}, {"listed", 'I'}};
    PyObject *given[3], *array = NULL;
    Column columns[3];
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:unlisted_nodes", names, &given[0],
                                     &given[1], &given[2])
        || columns_read(columns, given, columns_of, 3) < 0) {
        return NULL;
    }
    if (nodes_check(&columns[0], "node", columns[1].length) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = list_unlisted(columns[0].data, (size_t)columns[0].length, columns[1].data,
                               columns[2].data, (size_t)columns[2].length, &found) < 0;
        Py_END_ALLOW_THREADS
        array = result_of_numbers(module_state(module)->array_type, &found, failed);
    }
    columns_release(columns, 3);
    return array;
}

PyObject *
graph_row_sums(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"row_offset", "row_node", "value", NULL};
    static const ColumnName columns_of[] = {{"row_offset", 'Q'}, {"row_node", 'I'}, {"value", 'I'}};
    PyObject *given[3], *found = NULL;
    Column columns[3];
    Result sums = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:row_sums", names, &given[0], &given[1],
                                     &given[2])
        || columns_read(columns, given, columns_of, 3) < 0) {
        return NULL;
    }
    if (rows_check(&columns[0], &columns[1], columns[2].length) == 0
        && result_new(&sums, module_state(module)->array_type, 'Q', columns[0].length - 1) == 0) {
        const uint64_t *offset = columns[0].data;
        const uint32_t *node = columns[1].data, *value = columns[2].data;
        uint64_t *sum = sums.view.buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t row = 0; row + 1 < columns[0].length; row++) {
            for (uint64_t i = offset[row]; i < offset[row + 1]; i++) {
                sum[row] += value[node[i]];
            }
        }
        Py_END_ALLOW_THREADS
        found = result_take(&sums);
    }
    columns_release(columns, 3);
    return found;
}

PyObject *
graph_row_gains(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"row_offset", "row_node", "same", "length_a", "length_b", NULL};
    static const ColumnName columns_of[] = {
        {"row_offset", 'Q'}, {"row_node", 'I'}, {"same", 'I'}, {"length_a", 'I'}, {"length_b", 'I'}};
    PyObject *given[5], *found = NULL;
    Column columns[5];
    Result gain = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO:row_gains", names, &given[0], &given[1],
                                     &given[2], &given[3], &given[4])
        || columns_read(columns, given, columns_of, 5) < 0) {
        return NULL;
    }
    if (rows_check(&columns[0], &columns[1], columns[2].length) == 0
        && numbers_check(&columns[2], "same", columns[3].length) == 0
        && length_check(&columns[4], "length_b", columns[2].length) == 0
        && result_new(&gain, module_state(module)->array_type, 'Q', columns[0].length - 1) == 0) {
        Py_BEGIN_ALLOW_THREADS
        add_up_gains(columns[0].data, (size_t)columns[0].length - 1, columns[1].data,
                     columns[2].data, columns[3].data, columns[4].data, gain.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&gain);
    }
    columns_release(columns, 5);
    return found;
}
