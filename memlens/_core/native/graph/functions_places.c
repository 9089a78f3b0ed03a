/* place_keys, as Python calls it. It releases the GIL while it computes. */
#include "graph/columns.h"
#include "graph/module.h"
#include "graph/places.h"
#include "graph/results.h"

enum { PATH, TYPE, STRING_KEY, TYPE_KEY, ROOT_KEY, ANCHOR, ANCHOR_KEY, COLUMN_COUNT };

static const struct {
    const char *name;
    char typecode;
} COLUMNS[COLUMN_COUNT] = {
    {"path_edges", 'I'}, {"node_type", 'I'},   {"string_key", 'Q'}, {"type_key", 'Q'},
    {"root_key", 'Q'},   {"anchor_node", 'I'}, {"anchor_key", 'Q'},
};

static int
refuse(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return -1;
}

/* Check what the computation relies on, so that no index leads out of a column. */
static int
check_columns(const Graph *graph, const Column *columns)
{
    uint32_t count = graph->node_count;
    if (columns[PATH].length != (Py_ssize_t)count || columns[TYPE].length != (Py_ssize_t)count) {
        return refuse("path_edges and node_type must have an entry for each node");
    }
    if ((uint64_t)columns[ROOT_KEY].length != graph->offset[1]) {
        return refuse("root_key must have an entry for each edge of node 0");
    }
    if (columns[ANCHOR].length != columns[ANCHOR_KEY].length) {
        return refuse("anchor_node and anchor_key must have the same length");
    }
    const uint32_t *path = columns[PATH].data, *type = columns[TYPE].data;
    for (uint32_t node = 0; node < count; node++) {
        if (type[node] >= (uint64_t)columns[TYPE_KEY].length) {
            return refuse("node_type names a type without a key");
        }
        if (path[node] == NODE_NONE) {
            continue;
        }
        if (path[node] >= graph->edge_count) {
            return refuse("path_edges names an edge that does not exist");
        }
        if (graph->target[path[node]] != node) {
            return refuse("path_edges names an edge that leads elsewhere");
        }
        uint32_t label = graph->label[path[node]];
        if ((label & KIND_MASK) != INDEX
            && label >> LABEL_BITS >= (uint64_t)columns[STRING_KEY].length) {
            return refuse("edge_label names a string without a key");
        }
    }
    const uint32_t *anchor = columns[ANCHOR].data;
    for (Py_ssize_t i = 0; i < columns[ANCHOR].length; i++) {
        if (anchor[i] >= count) {
            return refuse("anchor_node names a node that does not exist");
        }
    }
    return 0;
}

static PyObject *
keys_of(PyObject *array_type, const Graph *graph, const Column *columns, uint32_t namespace_string)
{
    Result keys = {NULL}, repeats = {NULL};
    PyObject *pair = NULL;
    if (result_new(&keys, array_type, 'Q', graph->node_count) == 0
        && result_new(&repeats, array_type, 'B', graph->node_count) == 0) {
        PlaceInput input = {
            .offset = graph->offset,
            .target = graph->target,
            .label = graph->label,
            .path = columns[PATH].data,
            .type = columns[TYPE].data,
            .string_key = columns[STRING_KEY].data,
            .type_key = columns[TYPE_KEY].data,
            .root_key = columns[ROOT_KEY].data,
            .anchor = columns[ANCHOR].data,
            .anchor_key = columns[ANCHOR_KEY].data,
            .node_count = graph->node_count,
            .anchor_count = (uint32_t)columns[ANCHOR].length,
            .namespace_label = label_of(INTERNAL, namespace_string),
        };
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = find_places(&input, keys.view.buf, repeats.view.buf) < 0;
        Py_END_ALLOW_THREADS
        pair = failed ? PyErr_NoMemory()
                      : Py_BuildValue("NN", result_take(&keys), result_take(&repeats));
    }
    result_drop(&keys);
    result_drop(&repeats);
    return pair;
}

PyObject *
graph_place_keys(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label",  "path_edges",
                            "node_type",   "string_key",  "type_key",    "root_key",
                            "anchor_node", "anchor_key",  "namespace_string", NULL};
    PyObject *offset, *target, *label, *buffers[COLUMN_COUNT], *found = NULL;
    unsigned int namespace_string;
    EdgeColumns edges;
    Column columns[COLUMN_COUNT] = {{NULL, NULL, 0}};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOOOOI:place_keys", names, &offset, &target,
                                     &label, &buffers[PATH], &buffers[TYPE], &buffers[STRING_KEY],
                                     &buffers[TYPE_KEY], &buffers[ROOT_KEY], &buffers[ANCHOR],
                                     &buffers[ANCHOR_KEY], &namespace_string)
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    int failed = 0;
    for (int i = 0; i < COLUMN_COUNT && !failed; i++) {
        failed = column_read(&columns[i], buffers[i], COLUMNS[i].name, COLUMNS[i].typecode) < 0;
    }
    if (!failed && check_columns(&edges.graph, columns) == 0) {
        found = keys_of(module_state(module)->array_type, &edges.graph, columns, namespace_string);
    }
    for (int i = 0; i < COLUMN_COUNT; i++) {
        column_release(&columns[i]);
    }
    edges_release(&edges);
    return found;
}
