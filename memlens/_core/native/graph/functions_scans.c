/* text_keys, nodes_of_types, nodes_flagged, is_ascending, edges_labelled, mark_containers,
 * mark_buffers and mostly_flagged, as Python calls them: each one look at all texts, nodes or edges. */
#include "graph/growth.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"

PyObject *
graph_text_keys(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"string_offset", "string_bytes", NULL};
    static const ColumnName columns_of[] = {{"string_offset", 'Q'}, {"string_bytes", 'B'}};
    PyObject *given[2], *found = NULL;
    Column columns[2];
    Result key = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:text_keys", names, &given[0], &given[1])
        || columns_read(columns, given, columns_of, 2) < 0) {
        return NULL;
    }
    const uint64_t *offset = columns[0].data;
    Py_ssize_t count = columns[0].length - 1;
    int fits = count >= 0 && offset[count] <= (uint64_t)columns[1].length;
    for (Py_ssize_t text = 0; text < count && fits; text++) {
        fits = offset[text] <= offset[text + 1];
    }
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "string_offset does not fit string_bytes");
    }
    else if (result_new(&key, module_state(module)->array_type, 'Q', count) == 0) {
        Py_BEGIN_ALLOW_THREADS
        find_text_keys(offset, columns[1].data, (size_t)count, key.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&key);
    }
    columns_release(columns, 2);
    return found;
}

PyObject *
graph_nodes_of_types(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_type", "type_mark", NULL};
    static const ColumnName columns_of[] = {{"node_type", 'I'}, {"type_mark", 'B'}};
    PyObject *given[2], *array = NULL;
    Column columns[2];
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:nodes_of_types", names, &given[0], &given[1])
        || columns_read(columns, given, columns_of, 2) < 0) {
        return NULL;
    }
    if (length_check(&columns[0], "node_type", columns[0].length) == 0) {
        const uint32_t *type = columns[0].data;
        const uint8_t *mark = columns[1].data;
        uint64_t types = (uint64_t)columns[1].length;
        int outside = 0, failed = 0;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t node = 0; node < columns[0].length && !outside && !failed; node++) {
            outside = type[node] >= types;
            failed = !outside && mark[type[node]] && push_u32(&found, (uint32_t)node) < 0;
        }
        Py_END_ALLOW_THREADS
        if (outside) {
            buffer_free(&found);
            PyErr_SetString(PyExc_ValueError, "node_type names a type without a mark");
        }
        else {
            array = result_of_numbers(module_state(module)->array_type, &found, failed);
        }
    }
    columns_release(columns, 2);
    return array;
}

PyObject *
graph_nodes_flagged(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_flags", "flags", NULL};
    PyObject *given, *array = NULL;
    long long wanted;
    Column column;
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OL:nodes_flagged", names, &given, &wanted)
        || column_read(&column, given, "node_flags", 'H') < 0) {
        return NULL;
    }
    if (length_check(&column, "node_flags", column.length) == 0
        && flags_check(wanted, "flags") == 0) {
        const uint16_t *flags = column.data;
        int failed = 0;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t node = 0; node < column.length && !failed; node++) {
            failed = flags[node] & wanted && push_u32(&found, (uint32_t)node) < 0;
        }
        Py_END_ALLOW_THREADS
        array = result_of_numbers(module_state(module)->array_type, &found, failed);
    }
    column_release(&column);
    return array;
}

PyObject *
graph_is_ascending(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node", NULL};
    PyObject *given;
    Column column;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:is_ascending", names, &given)
        || column_read(&column, given, "node", 'I') < 0) {
        return NULL;
    }
    const uint32_t *node = column.data;
    int ascends = 1;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 1; i < column.length && ascends; i++) {
        ascends = node[i - 1] < node[i];
    }
    Py_END_ALLOW_THREADS
    column_release(&column);
    return PyBool_FromLong(ascends);
}

static size_t
list_labelled(const uint32_t *label, size_t count, uint32_t wanted, uint64_t *found)
{
    size_t length = 0;
    for (size_t edge = 0; edge < count; edge++) {
        if (label[edge] == wanted) {
            if (found != NULL) {
                found[length] = edge;
            }
            length++;
        }
    }
    return length;
}

PyObject *
graph_edges_labelled(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_label", "label", NULL};
    PyObject *given, *found = NULL;
    unsigned int wanted;
    Column labels;
    Result edges = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OI:edges_labelled", names, &given, &wanted)
        || column_read(&labels, given, "edge_label", 'I') < 0) {
        return NULL;
    }
    size_t length, count = (size_t)labels.length;
    Py_BEGIN_ALLOW_THREADS
    length = list_labelled(labels.data, count, wanted, NULL);
    Py_END_ALLOW_THREADS
    if (result_new(&edges, module_state(module)->array_type, 'Q', (Py_ssize_t)length) == 0) {
        list_labelled(labels.data, count, wanted, edges.view.buf);
        found = result_take(&edges);
    }
    column_release(&labels);
    return found;
}

static void
mark_sized(const Column *container, uint8_t *mark, uint8_t value)
{
    const uint32_t *node = container->data;
    for (Py_ssize_t i = 0; i < container->length; i++) {
        mark[node[i]] = value;
    }
}

PyObject *
graph_mark_containers(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "node_type", "type_skipped", "container_node",
                            "min_references", NULL};
    static const ColumnName columns_of[] = {
        {"edge_offset", 'Q'}, {"node_type", 'I'}, {"type_skipped", 'B'}, {"container_node", 'I'}};
    PyObject *given[4], *found = NULL;
    unsigned int least;
    Column columns[4];
    Result mark = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOI:mark_containers", names, &given[0],
                                     &given[1], &given[2], &given[3], &least)
        || columns_read(columns, given, columns_of, 4) < 0) {
        return NULL;
    }
    Py_ssize_t count = columns[1].length;
    if (columns[0].length != count + 1) {
        PyErr_SetString(PyExc_ValueError, "edge_offset and node_type must fit together");
    }
    else if (numbers_check(&columns[1], "node_type", columns[2].length) == 0
             && ascending_check(&columns[3], "container_node", count) == 0
             && result_new(&mark, module_state(module)->array_type, 'B', count) == 0) {
        const uint64_t *offset = columns[0].data;
        const uint32_t *type = columns[1].data;
        const uint8_t *skipped = columns[2].data;
        uint8_t *marks = mark.view.buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t node = 1; node < count; node++) {
            marks[node] = offset[node + 1] - offset[node] >= least && type[node] != NODE_NONE
                          && !skipped[type[node]];
        }
        mark_sized(&columns[3], marks, 1);
        Py_END_ALLOW_THREADS
        found = result_take(&mark);
    }
    columns_release(columns, 4);
    return found;
}

PyObject *
graph_mark_buffers(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_size", "container_node", "min_bytes", NULL};
    static const ColumnName columns_of[] = {{"node_size", 'Q'}, {"container_node", 'I'}};
    PyObject *given[2], *found = NULL;
    unsigned long long least;
    Column columns[2];
    Result mark = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOK:mark_buffers", names, &given[0], &given[1],
                                     &least)
        || columns_read(columns, given, columns_of, 2) < 0) {
        return NULL;
    }
    if (ascending_check(&columns[1], "container_node", columns[0].length) == 0
        && result_new(&mark, module_state(module)->array_type, 'B', columns[0].length) == 0) {
        const uint64_t *size = columns[0].data;
        uint8_t *marks = mark.view.buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t node = 0; node < columns[0].length; node++) {
            marks[node] = size[node] >= least;
        }
        mark_sized(&columns[1], marks, 0);
        Py_END_ALLOW_THREADS
        found = result_take(&mark);
    }
    columns_release(columns, 2);
    return found;
}

static int
list_mostly_flagged(const Graph *graph, const uint16_t *flags, unsigned wanted, Buffer *found)
{
    for (uint32_t node = 0; node < graph->node_count; node++) {
        uint64_t count = 0;
        if (flags[node] & wanted) {
            continue;
        }
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            count += (flags[graph->target[edge]] & wanted) != 0;
        }
        if (count * 2 > graph->offset[node + 1] - graph->offset[node]
            && push_u32(found, node) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
graph_mostly_flagged(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "node_flags", "flags", NULL};
    PyObject *offset, *target, *label, *given, *array = NULL;
    long long wanted;
    EdgeColumns edges;
    Column flags = NO_COLUMN;
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOL:mostly_flagged", names, &offset, &target,
                                     &label, &given, &wanted)
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    if (column_read(&flags, given, "node_flags", 'H') == 0
        && length_check(&flags, "node_flags", edges.graph.node_count) == 0
        && flags_check(wanted, "flags") == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = list_mostly_flagged(&edges.graph, flags.data, (unsigned)wanted, &found) < 0;
        Py_END_ALLOW_THREADS
        array = result_of_numbers(module_state(module)->array_type, &found, failed);
    }
    column_release(&flags);
    edges_release(&edges);
    return array;
}
