/* decimal_rows and identity_numbers, as Python calls them. */
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"
#include "graph/texts.h"

enum { MAX_COLUMNS = 16 };

/* The typecode of a buffer's items: B for one that does not say. 0 with an exception set on failure. */
static char
typecode_of(PyObject *buffer)
{
    Py_buffer view;
    PyObject *flat = PyMemoryView_FromObject(buffer);
    if (flat == NULL || PyObject_GetBuffer(flat, &view, PyBUF_FULL_RO) < 0) {
        Py_XDECREF(flat);
        return 0;
    }
    const char *format = view.format == NULL ? "B" : view.format;
    char code = strchr("BIQ", format[0]) != NULL && format[1] == '\0' ? format[0] : '\0';
    if (code == '\0') {
        PyErr_Format(PyExc_ValueError, "columns must have items of type B, I or Q, not '%s'", format);
    }
    PyBuffer_Release(&view);
    Py_DECREF(flat);
    return code;
}

static PyObject *
text_of(const Numbers *numbers, Py_ssize_t column_count, Py_ssize_t row_count)
{
    Buffer text = {NULL, 0, 0};
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = append_rows(&text, numbers, (size_t)column_count, (size_t)row_count);
    Py_END_ALLOW_THREADS
    PyObject *result = failed
                           ? PyErr_NoMemory()
                           : PyBytes_FromStringAndSize(text.size ? text.data : "", (Py_ssize_t)text.size);
    buffer_free(&text);
    return result;
}

static PyObject *
rows_of(PyObject *given, Py_ssize_t column_count)
{
    Column columns[MAX_COLUMNS];
    Numbers numbers[MAX_COLUMNS];
    PyObject *text = NULL;
    Py_ssize_t read = 0;
    for (; read < column_count; read++) {
        PyObject *buffer = PySequence_Fast_GET_ITEM(given, read);
        char code = typecode_of(buffer);
        columns[read] = NO_COLUMN;
        if (code == '\0' || column_read(&columns[read], buffer, "columns", code) < 0) {
            break;
        }
        numbers[read] = (Numbers){columns[read].data, code};
        if (columns[read].length != columns[0].length) {
            PyErr_Format(PyExc_ValueError, "columns have %zd and %zd entries", columns[0].length,
                         columns[read].length);
            column_release(&columns[read]);
            break;
        }
    }
    if (read == column_count) {
        text = text_of(numbers, column_count, columns[0].length);
    }
    columns_release(columns, (int)read);
    return text;
}

PyObject *
graph_decimal_rows(PyObject *Py_UNUSED(module), PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"columns", NULL};
    PyObject *columns;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:decimal_rows", names, &columns)) {
        return NULL;
    }
    PyObject *given = PySequence_Tuple(columns), *text = NULL;
    if (given == NULL) {
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(given);
    if (count < 1 || count > MAX_COLUMNS) {
        PyErr_Format(PyExc_ValueError, "columns must be from 1 to %d, not %zd", (int)MAX_COLUMNS, count);
    }
    else {
        text = rows_of(given, count);
    }
    Py_DECREF(given);
    return text;
}

enum { ADDRESS, TYPE, SIZE, TYPE_KEY, IS_SIZED, IDENTITY_COLUMNS };

static int
check_identities(const Column *columns, long long limit)
{
    Py_ssize_t count = columns[ADDRESS].length;
    if (length_check(&columns[TYPE], "node_type", count) < 0
        || length_check(&columns[SIZE], "node_size", count) < 0
        || nodes_check(&columns[TYPE], "node_type", columns[TYPE_KEY].length) < 0) {
        return -1;
    }
    if (columns[TYPE_KEY].length != columns[IS_SIZED].length) {
        PyErr_SetString(PyExc_ValueError, "type_key and type_is_sized must have the same length");
        return -1;
    }
    if (limit <= count || limit < 2 || limit > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "limit must be from %zd to 4294967295, not %lld",
                     count < 1 ? (Py_ssize_t)2 : count + 1, limit);
        return -1;
    }
    return 0;
}

PyObject *
graph_identity_numbers(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_address", "node_type", "node_size", "type_key", "type_is_sized",
                            "limit", NULL};
    static const ColumnName columns_of[] = {{"node_address", 'Q'}, {"node_type", 'I'},
                                            {"node_size", 'Q'}, {"type_key", 'Q'},
                                            {"type_is_sized", 'B'}};
    PyObject *given[IDENTITY_COLUMNS], *found = NULL;
    Column columns[IDENTITY_COLUMNS];
    Result number = {NULL};
    long long limit;
    int failed = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOL:identity_numbers", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4], &limit)
        || columns_read(columns, given, columns_of, IDENTITY_COLUMNS) < 0) {
        return NULL;
    }
    Py_ssize_t count = columns[ADDRESS].length;
    if (check_identities(columns, limit) == 0
        && result_new(&number, module_state(module)->array_type, 'I', count) == 0) {
        NodeIdentities nodes = {columns[ADDRESS].data, columns[TYPE].data, columns[SIZE].data,
                                columns[TYPE_KEY].data, columns[IS_SIZED].data};
        Py_BEGIN_ALLOW_THREADS
        failed = find_identity_numbers(&nodes, (size_t)count, (uint32_t)limit, number.view.buf);
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory() : result_take(&number);
    }
    result_drop(&number);
    columns_release(columns, IDENTITY_COLUMNS);
    return found;
}
