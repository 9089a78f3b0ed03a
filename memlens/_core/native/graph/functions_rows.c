/* group_nodes, number_keys and unlisted_nodes, as Python calls them. */
#include "graph/growth.h"
#include "graph/key_rows.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"

/* Return (keys, offsets, nodes). */
static PyObject *
grouped(PyObject *array_type, const KeyedNodes *nodes)
{
    KeyRows rows = NO_KEY_ROWS;
    Result key = {NULL}, offset = {NULL}, node = {NULL};
    PyObject *found = NULL;
    size_t total;
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = key_rows_count(&rows, nodes, &total) < 0;
    Py_END_ALLOW_THREADS
    Py_ssize_t row_count = (Py_ssize_t)COUNT(rows.keys, uint64_t);
    if (failed) {
        PyErr_NoMemory();
    }
    else if (result_new(&key, array_type, 'Q', row_count) == 0
             && result_new(&offset, array_type, 'Q', row_count + 1) == 0
             && result_new(&node, array_type, 'I', (Py_ssize_t)total) == 0) {
        Py_BEGIN_ALLOW_THREADS
        failed = key_rows_order(&rows, key.view.buf, offset.view.buf) < 0;
        if (!failed) {
            key_rows_fill(&rows, nodes, node.view.buf);
        }
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory()
                       : Py_BuildValue("NNN", result_take(&key), result_take(&offset),
                                       result_take(&node));
    }
    key_rows_free(&rows);
    result_drop(&key);
    result_drop(&offset);
    result_drop(&node);
    return found;
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
        KeyedNodes nodes = {columns[0].data, columns[1].data, columns[2].data,
                            (size_t)columns[0].length, (unsigned)skip_flags};
        rows = grouped(module_state(module)->array_type, &nodes);
    }
    columns_release(columns, 3);
    return rows;
}

PyObject *
graph_number_keys(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"key", NULL};
    PyObject *given, *array_type = module_state(module)->array_type, *pair = NULL;
    Column keys;
    KeyRows rows = NO_KEY_ROWS;
    Result number = {NULL}, table = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:number_keys", names, &given)
        || column_read(&keys, given, "key", 'Q') < 0) {
        return NULL;
    }
    if (length_check(&keys, "key", keys.length) == 0
        && result_new(&number, array_type, 'I', keys.length) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = key_rows_number(&rows, keys.data, (size_t)keys.length, number.view.buf) < 0;
        Py_END_ALLOW_THREADS
        if (failed) {
            PyErr_NoMemory();
        }
        else if (result_new(&table, array_type, 'Q', (Py_ssize_t)COUNT(rows.keys, uint64_t)) == 0) {
            if (rows.keys.size != 0) {
                memcpy(table.view.buf, rows.keys.data, rows.keys.size);
            }
            pair = Py_BuildValue("NN", result_take(&number), result_take(&table));
        }
    }
    key_rows_free(&rows);
    result_drop(&number);
    result_drop(&table);
    column_release(&keys);
    return pair;
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
