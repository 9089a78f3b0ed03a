#include "graph/rows.h"

int
columns_read(Column *columns, PyObject *const *buffers, const ColumnName *names, int count)
{
    for (int i = 0; i < count; i++) {
        columns[i] = NO_COLUMN;
    }
    for (int i = 0; i < count; i++) {
        if (column_read(&columns[i], buffers[i], names[i].name, names[i].typecode) < 0) {
            columns_release(columns, i);
            return -1;
        }
    }
    return 0;
}

void
columns_release(Column *columns, int count)
{
    for (int i = 0; i < count; i++) {
        column_release(&columns[i]);
    }
}

int
length_check(const Column *column, const char *name, Py_ssize_t node_count)
{
    if (node_count >= (Py_ssize_t)NODE_NONE) {
        PyErr_Format(PyExc_ValueError, "%s has more nodes than 32 bits can number", name);
        return -1;
    }
    if (column->length != node_count) {
        PyErr_Format(PyExc_ValueError, "%s has %zd entries for %zd nodes", name, column->length,
                     node_count);
        return -1;
    }
    return 0;
}

int
numbers_check(const Column *column, const char *name, Py_ssize_t limit)
{
    const uint32_t *number = column->data;
    for (Py_ssize_t i = 0; i < column->length; i++) {
        if (number[i] != NODE_NONE && (Py_ssize_t)number[i] >= limit) {
            PyErr_Format(PyExc_ValueError, "%s names %u of only %zd", name, number[i], limit);
            return -1;
        }
    }
    return 0;
}

int
nodes_check(const Column *column, const char *name, Py_ssize_t node_count)
{
    const uint32_t *number = column->data;
    for (Py_ssize_t i = 0; i < column->length; i++) {
        if ((Py_ssize_t)number[i] >= node_count) {
            PyErr_Format(PyExc_ValueError, "%s names %u of only %zd", name, number[i], node_count);
            return -1;
        }
    }
    return 0;
}

int
ascending_check(const Column *column, const char *name, Py_ssize_t limit)
{
    const uint32_t *number = column->data;
    for (Py_ssize_t i = 1; i < column->length; i++) {
        if (number[i] <= number[i - 1]) {
            PyErr_Format(PyExc_ValueError, "%s is not ascending", name);
            return -1;
        }
    }
    if (column->length != 0 && (Py_ssize_t)number[column->length - 1] >= limit) {
        PyErr_Format(PyExc_ValueError, "%s names %u of only %zd", name,
                     number[column->length - 1], limit);
        return -1;
    }
    return 0;
}

int
rows_check(const Column *offset, const Column *node, Py_ssize_t node_count)
{
    const uint64_t *row = offset->data;
    Py_ssize_t rows = offset->length - 1;
    int fits = rows >= 0 && row[0] == 0 && row[rows] == (uint64_t)node->length;
    for (Py_ssize_t i = 0; i < rows && fits; i++) {
        fits = row[i] <= row[i + 1];
    }
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "row_offset does not fit row_node");
        return -1;
    }
    return nodes_check(node, "row_node", node_count);
}
