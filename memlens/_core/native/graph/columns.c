#include "graph/columns.h"

#include "base/layout.h"

static int
check_items(const Py_buffer *view, const char *name, char typecode)
{
    const char *format = view->format == NULL ? "B" : view->format;
    size_t item_bytes = typecode_bytes(typecode);
    if (view->ndim != 1 || !PyBuffer_IsContiguous(view, 'C')) {
        PyErr_Format(PyExc_ValueError, "%s must be one flat buffer without gaps", name);
        return -1;
    }
    if (strchr("BHIQ", format[0]) == NULL || format[1] != '\0'
        || (format[0] != typecode && format[0] != 'B')) {
        PyErr_Format(PyExc_ValueError, "%s must have items of type '%c', not '%s'", name, typecode,
                     format);
        return -1;
    }
    if ((size_t)view->len % item_bytes != 0) {
        PyErr_Format(PyExc_ValueError, "%s has %zd bytes, which is no multiple of %zu", name,
                     view->len, item_bytes);
        return -1;
    }
    return 0;
}

/* A slice of bytes may begin anywhere. An array.array begins where every item may begin. */
static PyObject *
aligned_copy(const Py_buffer *view)
{
    PyObject *array_module = PyImport_ImportModule("array");
    PyObject *copy = array_module == NULL ? NULL
                                          : PyObject_CallMethod(array_module, "array", "Cy#", 'B',
                                                                view->buf, view->len);
    PyObject *aligned = copy == NULL ? NULL : PyMemoryView_FromObject(copy);
    Py_XDECREF(array_module);
    Py_XDECREF(copy);
    return aligned;
}

int
column_read(Column *column, PyObject *buffer, const char *name, char typecode)
{
    Py_buffer view;
    column->view = PyMemoryView_FromObject(buffer);
    if (column->view == NULL) {
        return -1;
    }
    if (PyObject_GetBuffer(column->view, &view, PyBUF_FULL_RO) < 0) {
        column_release(column);
        return -1;
    }
    if (check_items(&view, name, typecode) < 0) {
        PyBuffer_Release(&view);
        column_release(column);
        return -1;
    }
    size_t item_bytes = typecode_bytes(typecode);
    if ((uintptr_t)view.buf % item_bytes != 0 && view.len != 0) {
        PyObject *aligned = aligned_copy(&view);
        PyBuffer_Release(&view);
        column_release(column);
        column->view = aligned;
        if (aligned == NULL || PyObject_GetBuffer(aligned, &view, PyBUF_FULL_RO) < 0) {
            column_release(column);
            return -1;
        }
    }
    column->data = view.buf;
    column->length = view.len / (Py_ssize_t)item_bytes;
    PyBuffer_Release(&view); /* column->view still holds the memory */
    return 0;
}

void
column_release(Column *column)
{
    Py_CLEAR(column->view);
}

int
node_column_read(Column *column, PyObject *buffer, const char *name, char typecode,
                 Py_ssize_t node_count)
{
    if (column_read(column, buffer, name, typecode) < 0) {
        return -1;
    }
    if (column->length != node_count) {
        PyErr_Format(PyExc_ValueError, "%s has %zd entries for %zd nodes", name, column->length,
                     node_count);
        column_release(column);
        return -1;
    }
    return 0;
}

int
flags_check(long long flags, const char *name)
{
    if (flags < 0 || flags > 0xffff) {
        PyErr_Format(PyExc_ValueError, "%s must be from 0 to 65535, not %lld", name, flags);
        return -1;
    }
    return 0;
}

static int
check_offsets(const uint64_t *offset, Py_ssize_t node_count)
{
    for (Py_ssize_t node = 0; node < node_count; node++) {
        if (offset[node + 1] < offset[node]) {
            PyErr_Format(PyExc_ValueError,
                         "edge_offset is not ascending: row %zd ends before it starts", node);
            return -1;
        }
    }
    return 0;
}

static uint32_t
greatest(const uint32_t *numbers, Py_ssize_t count)
{
    uint32_t most = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        most = numbers[i] > most ? numbers[i] : most;
    }
    return most;
}

static int
check_edges(const EdgeColumns *edges)
{
    const uint64_t *offset = edges->offset.data;
    Py_ssize_t nodes = edges->offset.length - 1, count = edges->target.length;
    if (nodes < 1) {
        PyErr_Format(PyExc_ValueError,
                     "edge_offset has %zd entries: without node 0 there is no graph", nodes + 1);
        return -1;
    }
    if (offset[0] != 0 || offset[nodes] != (uint64_t)count) {
        PyErr_Format(PyExc_ValueError,
                     "edge_offset runs from %llu to %llu, but edge_target has %zd entries from 0 on",
                     (unsigned long long)offset[0], (unsigned long long)offset[nodes], count);
        return -1;
    }
    if (check_offsets(offset, nodes) < 0) {
        return -1;
    }
    if (edges->label.length != count) {
        PyErr_Format(PyExc_ValueError, "edge_label has %zd entries, but edge_target %zd",
                     edges->label.length, count);
        return -1;
    }
    uint32_t last = greatest(edges->target.data, count);
    if (count > 0 && (Py_ssize_t)last >= nodes) {
        PyErr_Format(PyExc_ValueError, "edge_target names node %u of only %zd nodes", last, nodes);
        return -1;
    }
    if (nodes >= (Py_ssize_t)NODE_NONE) {
        PyErr_Format(PyExc_ValueError, "edge_offset has more nodes than 32 bits can number");
        return -1;
    }
    return 0;
}

int
edges_read(EdgeColumns *edges, PyObject *offset, PyObject *target, PyObject *label)
{
    *edges = (EdgeColumns){NO_COLUMN, NO_COLUMN, NO_COLUMN, {0, 0, NULL, NULL, NULL}};
    if (column_read(&edges->offset, offset, "edge_offset", 'Q') < 0
        || column_read(&edges->target, target, "edge_target", 'I') < 0
        || column_read(&edges->label, label, "edge_label", 'I') < 0 || check_edges(edges) < 0) {
        edges_release(edges);
        return -1;
    }
    edges->graph = (Graph){
        .node_count = (uint32_t)(edges->offset.length - 1),
        .edge_count = (uint64_t)edges->target.length,
        .offset = edges->offset.data,
        .target = edges->target.data,
        .label = edges->label.data,
    };
    return 0;
}

void
edges_release(EdgeColumns *edges)
{
    column_release(&edges->offset);
    column_release(&edges->target);
    column_release(&edges->label);
}

/* Raises ValueError with the whole sum, which takes more than 64 bits. */
static void
refuse_sum(uint64_t high, uint64_t low)
{
    PyObject *upper = PyLong_FromUnsignedLongLong(high), *lower = PyLong_FromUnsignedLongLong(low);
    PyObject *bits = PyLong_FromLong(64);
    PyObject *shifted = upper && bits ? PyNumber_Lshift(upper, bits) : NULL;
    PyObject *sum = shifted && lower ? PyNumber_Or(shifted, lower) : NULL;
    if (sum != NULL) {
        PyErr_Format(PyExc_ValueError, "node_size sums to %S bytes, more than 64 bits can hold", sum);
    }
    Py_XDECREF(upper);
    Py_XDECREF(lower);
    Py_XDECREF(bits);
    Py_XDECREF(shifted);
    Py_XDECREF(sum);
}

int
sizes_read(Column *sizes, PyObject *buffer, Py_ssize_t node_count)
{
    if (node_column_read(sizes, buffer, "node_size", 'Q', node_count) < 0) {
        return -1;
    }
    const uint64_t *size = sizes->data;
    uint64_t high = 0, low = 0;
    for (Py_ssize_t node = 0; node < node_count; node++) {
        low += size[node];
        high += low < size[node];
    }
    if (high != 0) {
        refuse_sum(high, low);
        column_release(sizes);
        return -1;
    }
    return 0;
}

int
tree_column_read(TreeColumn *tree, PyObject *dominator)
{
    tree->column = NO_COLUMN;
    if (column_read(&tree->column, dominator, "dominator", 'I') < 0) {
        return -1;
    }
    const uint32_t *parent = tree->column.data;
    Py_ssize_t count = tree->column.length;
    int64_t highest = 0;
    for (Py_ssize_t node = 0; node < count; node++) {
        if (parent[node] != NODE_NONE && parent[node] > highest) {
            highest = parent[node];
        }
    }
    if (count == 0) {
        PyErr_SetString(PyExc_ValueError, "dominator is empty: without node 0 there is no tree");
    }
    else if (count >= (Py_ssize_t)NODE_NONE) {
        PyErr_SetString(PyExc_ValueError, "dominator has more nodes than 32 bits can number");
    }
    else if (highest >= count) {
        PyErr_Format(PyExc_ValueError, "dominator names node %lld of only %zd nodes",
                     (long long)highest, count);
    }
    else {
        tree->tree = tree_of(parent, (uint32_t)count);
        return 0;
    }
    column_release(&tree->column);
    return -1;
}
