/* dominator_tree, reverse_edges, shortest_paths, reached_nodes and edges_between, as Python calls
 * them. They release the GIL while they compute. */
#include "graph/columns.h"
#include "graph/dominators.h"
#include "graph/module.h"
#include "graph/reach.h"
#include "graph/results.h"
#include "graph/search.h"

PyObject *
graph_dominator_tree(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "node_size", NULL};
    PyObject *offset, *target, *label, *size, *array_type = module_state(module)->array_type;
    EdgeColumns edges;
    Column sizes = NO_COLUMN;
    Result dominator = {NULL}, retained = {NULL};
    PyObject *pair = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:dominator_tree", names, &offset, &target,
                                     &label, &size)
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    Py_ssize_t count = edges.graph.node_count;
    if (sizes_read(&sizes, size, count) == 0 && result_new(&dominator, array_type, 'I', count) == 0
        && result_new(&retained, array_type, 'Q', count) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        memcpy(retained.view.buf, sizes.data, (size_t)count * sizeof(uint64_t));
        failed = find_dominators(&edges.graph, dominator.view.buf, retained.view.buf) < 0;
        Py_END_ALLOW_THREADS
        pair = failed ? PyErr_NoMemory()
                      : Py_BuildValue("NN", result_take(&dominator), result_take(&retained));
    }
    result_drop(&dominator);
    result_drop(&retained);
    column_release(&sizes);
    edges_release(&edges);
    return pair;
}

PyObject *
graph_reverse_edges(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", NULL};
    PyObject *offset, *target, *label, *array_type = module_state(module)->array_type;
    EdgeColumns edges;
    Result rows = {NULL}, sources = {NULL};
    PyObject *pair = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:reverse_edges", names, &offset, &target,
                                     &label)
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    const Graph *graph = &edges.graph;
    if (result_new(&rows, array_type, 'Q', (Py_ssize_t)graph->node_count + 1) == 0) {
        uint64_t *in_offset = rows.view.buf;
        Py_BEGIN_ALLOW_THREADS
        count_referrers(graph, in_offset);
        Py_END_ALLOW_THREADS
        Py_ssize_t strong_count = (Py_ssize_t)in_offset[graph->node_count];
        if (result_new(&sources, array_type, 'I', strong_count) == 0) {
            Py_BEGIN_ALLOW_THREADS
            fill_referrers(graph, in_offset, sources.view.buf);
            Py_END_ALLOW_THREADS
            pair = Py_BuildValue("NN", result_take(&rows), result_take(&sources));
        }
    }
    result_drop(&rows);
    result_drop(&sources);
    edges_release(&edges);
    return pair;
}

PyObject *
graph_shortest_paths(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "root_tier", NULL};
    PyObject *offset, *target, *label, *tier;
    EdgeColumns edges;
    Column tiers = NO_COLUMN;
    Result first_edge = {NULL};
    PyObject *found = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:shortest_paths", names, &offset, &target,
                                     &label, &tier)
        || edges_read(&edges, offset, target, label) < 0) {
        return NULL;
    }
    const Graph *graph = &edges.graph;
    if (column_read(&tiers, tier, "root_tier", 'B') == 0) {
        if ((uint64_t)tiers.length != graph->offset[1]) {
            PyErr_Format(PyExc_ValueError, "root_tier has %zd entries for %llu roots", tiers.length,
                         (unsigned long long)graph->offset[1]);
        }
        else if (graph->edge_count > NODE_NONE) {
            PyErr_SetString(PyExc_ValueError, "edge_target has more edges than 32 bits can number");
        }
        else if (result_new(&first_edge, module_state(module)->array_type, 'I', graph->node_count)
                 == 0) {
            int failed;
            Py_BEGIN_ALLOW_THREADS
            failed = find_shortest_paths(graph, tiers.data, first_edge.view.buf) < 0;
            Py_END_ALLOW_THREADS
            found = failed ? PyErr_NoMemory() : result_take(&first_edge);
        }
    }
    result_drop(&first_edge);
    column_release(&tiers);
    edges_release(&edges);
    return found;
}

PyObject *
graph_reached_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "without", NULL};
    PyObject *offset, *target, *label, *without, *found = NULL;
    EdgeColumns edges;
    Column marks = NO_COLUMN;
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

PyObject *
graph_edges_between(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[]
        = {"edge_offset", "edge_target", "edge_label", "source_mark", "target_mark", NULL};
    PyObject *offset, *target, *label, *source_mark, *target_mark, *array = NULL;
    EdgeColumns edges;
    Column sources = NO_COLUMN, wanted = NO_COLUMN;
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
        array = result_of_numbers(module_state(module)->array_type, &found, failed);
    }
    column_release(&sources);
    column_release(&wanted);
    edges_release(&edges);
    return array;
}
