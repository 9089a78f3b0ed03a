/* What is reached without some nodes, and edges between marked ones: pure/reach.py, on arrays. */
#include "columns.h"
#include "module.h"
#include "results.h"

static const Column no_column = {NULL, NULL, 0};

/* reached: node_count zeros. Returns -1 when there is no memory. */
static int
reach_without(const Graph *graph, const uint8_t *without, uint8_t *reached)
{
    Buffer memory = {NULL, 0, 0};
    if (buffer_zeros(&memory, (size_t)graph->node_count * sizeof(uint32_t)) < 0) {
        return -1;
    }
    uint32_t *stack = (uint32_t *)memory.data; /* each node is pushed once at most */
    size_t height = 0;
    stack[height++] = 0;
    reached[0] = 1;
    while (height > 0) {
        uint32_t node = stack[--height];
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            uint32_t target = graph->target[edge];
            if (!reached[target] && !without[target] && !edge_is_weak(graph, edge)) {
                reached[target] = 1;
                stack[height++] = target;
            }
        }
    }
    buffer_free(&memory);
    return 0;
}

PyObject *
native_reached_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "without", NULL};
    PyObject *offset, *target, *label, *without, *found = NULL;
    EdgeColumns edges;
    Column marks = no_column;
    Result reached = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:reached_nodes", names, &offset, &target,
                                     &label, &without)
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    Py_ssize_t count = edges.graph.node_count;
    if (node_column_read(&marks, without, "without", 'B', count) == 0
        && result_new(&reached, module_state(module)->array_type, 'B', count) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = reach_without(&edges.graph, marks.data, reached.view.buf) < 0;
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory() : result_take(&reached);
    }
    result_drop(&reached);
    column_release(&marks);
    edges_release(&edges);
    return found;
}

/* Push the positions of the edges that are wanted. Returns -1 when there is no memory. */
static int
find_between(const Graph *graph, const uint8_t *source, const uint8_t *wanted, Buffer *found)
{
    for (uint32_t node = 0; node < graph->node_count; node++) {
        if (!source[node]) {
            continue;
        }
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            if (wanted[graph->target[edge]] && !edge_is_weak(graph, edge)
                && push_u32(found, (uint32_t)edge) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* An array of the numbers in `found`, which is freed; an exception when `failed`. */
static PyObject *
numbers_array(PyObject *module, Buffer *found, int failed)
{
    Result result = {NULL};
    PyObject *array = NULL;
    Py_ssize_t count = (Py_ssize_t)(found->size / sizeof(uint32_t));
    if (failed) {
        PyErr_NoMemory();
    }
    else if (result_new(&result, module_state(module)->array_type, 'I', count) == 0) {
        if (count > 0) {
            memcpy(result.view.buf, found->data, found->size);
        }
        array = result_take(&result);
    }
    buffer_free(found);
    return array;
}

PyObject *
native_edges_between(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[]
        = {"edge_offset", "edge_target", "edge_label", "source_mark", "target_mark", NULL};
    PyObject *offset, *target, *label, *source_mark, *target_mark, *array = NULL;
    EdgeColumns edges;
    Column sources = no_column, wanted = no_column;
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO:edges_between", names, &offset, &target,
                                     &label, &source_mark, &target_mark)
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    Py_ssize_t count = edges.graph.node_count;
    if (edges.graph.edge_count > NODE_NONE) {
        PyErr_SetString(PyExc_ValueError, "edge_target has more edges than 32 bits can number");
    }
    else if (node_column_read(&sources, source_mark, "source_mark", 'B', count) == 0
             && node_column_read(&wanted, target_mark, "target_mark", 'B', count) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = find_between(&edges.graph, sources.data, wanted.data, &found) < 0;
        Py_END_ALLOW_THREADS
        array = numbers_array(module, &found, failed);
    }
    column_release(&sources);
    column_release(&wanted);
    edges_release(&edges);
    return array;
}

/* What `same` names, checked to lie in heap a, which has `count` nodes. */
static int
check_same(const Column *same, Py_ssize_t count)
{
    const uint32_t *matched = same->data;
    int64_t highest = -1;
    for (Py_ssize_t node = 0; node < same->length; node++) {
        if (matched[node] != NODE_NONE && matched[node] > highest) {
            highest = matched[node];
        }
    }
    if (highest >= count) {
        PyErr_Format(PyExc_ValueError, "same names node %lld of only %zd nodes", (long long)highest,
                     count);
        return -1;
    }
    return 0;
}

/* Differences in more than 64 bits: nothing says that the offsets ascend. */
static int
find_grown(const uint64_t *old_offset, const uint64_t *offset, const Column *same, Buffer *found)
{
    const uint32_t *matched = same->data;
    for (Py_ssize_t node = 1; node < same->length; node++) {
        uint32_t old = matched[node];
        if (old != NODE_NONE
            && (__int128)offset[node + 1] - offset[node]
                   > (__int128)old_offset[(size_t)old + 1] - old_offset[old]
            && push_u32(found, (uint32_t)node) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
native_grown_rows(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset_a", "edge_offset_b", "same", NULL};
    PyObject *given[3], *array = NULL;
    Column before = no_column, after = no_column, same = no_column;
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:grown_rows", names, &given[0], &given[1],
                                     &given[2])) {
        return NULL;
    }
    if (column_read(&before, given[0], "edge_offset_a", 'Q') == 0
        && column_read(&after, given[1], "edge_offset_b", 'Q') == 0
        && column_read(&same, given[2], "same", 'I') == 0) {
        if (after.length != same.length + 1) {
            PyErr_Format(PyExc_ValueError, "edge_offset_b has %zd entries for %zd nodes",
                         after.length, same.length);
        }
        else if (same.length >= (Py_ssize_t)NODE_NONE) {
            PyErr_SetString(PyExc_ValueError, "same has more nodes than 32 bits can number");
        }
        else if (check_same(&same, before.length - 1) == 0) {
            int failed;
            Py_BEGIN_ALLOW_THREADS
            failed = find_grown(before.data, after.data, &same, &found) < 0;
            Py_END_ALLOW_THREADS
            array = numbers_array(module, &found, failed);
        }
    }
    column_release(&before);
    column_release(&after);
    column_release(&same);
    return array;
}
