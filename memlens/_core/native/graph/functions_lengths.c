/* chosen_lengths, row_lengths and row_gains, as Python calls them. */
#include "graph/growth.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"

enum { EDGE_ROWS, EDGE_LABELS, SIZED, SIZED_LENGTH, LENGTH_COLUMNS };

static const ColumnName COLUMNS[LENGTH_COLUMNS] = {{"edge_offset", 'Q'},
                                                   {"edge_label", 'I'},
                                                   {"container_node", 'I'},
                                                   {"container_length", 'Q'}};
static const ColumnName COLUMNS_A[LENGTH_COLUMNS] = {{"edge_offset_a", 'Q'},
                                                     {"edge_label_a", 'I'},
                                                     {"container_node_a", 'I'},
                                                     {"container_length_a", 'Q'}};
static const ColumnName COLUMNS_B[LENGTH_COLUMNS] = {{"edge_offset_b", 'Q'},
                                                     {"edge_label_b", 'I'},
                                                     {"container_node_b", 'I'},
                                                     {"container_length_b", 'Q'}};
static const ColumnName ROWS[2] = {{"row_offset", 'Q'}, {"row_node", 'I'}};

static LengthColumns
length_columns(const Column *columns)
{
    return (LengthColumns){columns[EDGE_ROWS].data, columns[EDGE_LABELS].data, columns[SIZED].data,
                           columns[SIZED_LENGTH].data, (size_t)columns[SIZED].length};
}

static Py_ssize_t
node_count(const Column *columns)
{
    return columns[EDGE_ROWS].length - 1;
}

/* The rows of the nodes must be within the labels: nothing else is looked at. `same` leads from the
 * nodes to those of these columns, NULL where they are of these columns themselves. */
static int
check_lengths(const Column *columns, const ColumnName *names, const Column *nodes,
              const uint32_t *same)
{
    const uint64_t *offset = columns[EDGE_ROWS].data;
    const uint32_t *node = nodes->data;
    for (Py_ssize_t i = 0; i < nodes->length; i++) {
        uint32_t at = same == NULL ? node[i] : same[node[i]];
        if (at != NODE_NONE
            && (offset[at] > offset[at + 1] || offset[at + 1] > (uint64_t)columns[EDGE_LABELS].length)) {
            PyErr_Format(PyExc_ValueError, "%s does not fit %s", names[EDGE_ROWS].name,
                         names[EDGE_LABELS].name);
            return -1;
        }
    }
    if (columns[SIZED].length != columns[SIZED_LENGTH].length) {
        PyErr_Format(PyExc_ValueError, "%s and %s must have the same length", names[SIZED].name,
                     names[SIZED_LENGTH].name);
        return -1;
    }
    return 0;
}

PyObject *
graph_chosen_lengths(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_label", "container_node", "container_length",
                            "node", NULL};
    static const ColumnName node_name[] = {{"node", 'I'}};
    PyObject *given[LENGTH_COLUMNS + 1], *found = NULL;
    Column columns[LENGTH_COLUMNS], node;
    Result length = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO:chosen_lengths", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4])
        || columns_read(columns, given, COLUMNS, LENGTH_COLUMNS) < 0) {
        return NULL;
    }
    if (columns_read(&node, given + LENGTH_COLUMNS, node_name, 1) == 0) {
        if (nodes_check(&node, "node", node_count(columns)) == 0
            && check_lengths(columns, COLUMNS, &node, NULL) == 0
            && result_new(&length, module_state(module)->array_type, 'Q', node.length) == 0) {
            LengthColumns lengths = length_columns(columns);
            Py_BEGIN_ALLOW_THREADS
            find_chosen_lengths(&lengths, node.data, (size_t)node.length, length.view.buf);
            Py_END_ALLOW_THREADS
            found = result_take(&length);
        }
        column_release(&node);
    }
    columns_release(columns, LENGTH_COLUMNS);
    return found;
}

PyObject *
graph_row_lengths(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"row_offset", "row_node", "edge_offset", "edge_label", "container_node",
                            "container_length", NULL};
    PyObject *given[2 + LENGTH_COLUMNS], *found = NULL;
    Column rows[2], columns[LENGTH_COLUMNS];
    Result sums = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOO:row_lengths", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4], &given[5])
        || columns_read(rows, given, ROWS, 2) < 0) {
        return NULL;
    }
    if (columns_read(columns, given + 2, COLUMNS, LENGTH_COLUMNS) == 0) {
        Py_ssize_t row_count = rows[0].length - 1;
        if (rows_check(&rows[0], &rows[1], node_count(columns)) == 0
            && check_lengths(columns, COLUMNS, &rows[1], NULL) == 0
            && result_new(&sums, module_state(module)->array_type, 'Q', row_count) == 0) {
            LengthColumns lengths = length_columns(columns);
            Py_BEGIN_ALLOW_THREADS
            add_up_lengths(&lengths, rows[0].data, (size_t)row_count, rows[1].data, sums.view.buf);
            Py_END_ALLOW_THREADS
            found = result_take(&sums);
        }
        columns_release(columns, LENGTH_COLUMNS);
    }
    columns_release(rows, 2);
    return found;
}

static int
check_gains(const Column *rows, const Column *same, const Column *before, const Column *after)
{
    if (rows_check(&rows[0], &rows[1], same->length) < 0
        || numbers_check(same, "same", node_count(before)) < 0) {
        return -1;
    }
    if (node_count(after) != same->length) {
        PyErr_Format(PyExc_ValueError, "edge_offset_b has %zd entries for %zd nodes",
                     after[EDGE_ROWS].length, same->length);
        return -1;
    }
    if (check_lengths(before, COLUMNS_A, &rows[1], same->data) < 0) {
        return -1;
    }
    return check_lengths(after, COLUMNS_B, &rows[1], NULL);
}

PyObject *
graph_row_gains(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"row_offset",       "row_node",           "same",
                            "edge_offset_a",    "edge_label_a",       "container_node_a",
                            "container_length_a", "edge_offset_b",    "edge_label_b",
                            "container_node_b", "container_length_b", NULL};
    static const ColumnName same_name[] = {{"same", 'I'}};
    PyObject *given[3 + 2 * LENGTH_COLUMNS], *found = NULL;
    Column rows[2], same = NO_COLUMN, before[LENGTH_COLUMNS] = {NO_COLUMN};
    Column after[LENGTH_COLUMNS] = {NO_COLUMN};
    Result gain = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOOOOO:row_gains", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4], &given[5],
                                     &given[6], &given[7], &given[8], &given[9], &given[10])
        || columns_read(rows, given, ROWS, 2) < 0) {
        return NULL;
    }
    if (columns_read(&same, given + 2, same_name, 1) == 0
        && columns_read(before, given + 3, COLUMNS_A, LENGTH_COLUMNS) == 0
        && columns_read(after, given + 3 + LENGTH_COLUMNS, COLUMNS_B, LENGTH_COLUMNS) == 0
        && check_gains(rows, &same, before, after) == 0
        && result_new(&gain, module_state(module)->array_type, 'Q', rows[0].length - 1) == 0) {
        LengthColumns lengths_a = length_columns(before), lengths_b = length_columns(after);
        Py_BEGIN_ALLOW_THREADS
        add_up_gains(&lengths_a, &lengths_b, same.data, rows[0].data,
                     (size_t)rows[0].length - 1, rows[1].data, gain.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&gain);
    }
    columns_release(after, LENGTH_COLUMNS);
    columns_release(before, LENGTH_COLUMNS);
    column_release(&same);
    columns_release(rows, 2);
    return found;
}
