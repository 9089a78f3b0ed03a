/* The functions of the core that compute over columns, as Python calls them.
 *
 * They let other threads run meanwhile: the columns are memory that nobody writes to any more. */
#include "columns.h"
#include "counts.h"
#include "graph.h"
#include "module.h"
#include "results.h"

PyObject *
native_dominator_tree(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "node_size", NULL};
    PyObject *offset, *target, *label, *size, *array_type = module_state(module)->array_type;
    EdgeColumns edges;
    Column sizes = {NULL, NULL, 0};
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
native_reverse_edges(PyObject *module, PyObject *args, PyObject *kwargs)
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
        int failed;
        Py_BEGIN_ALLOW_THREADS
        failed = count_referrers(graph, in_offset) < 0;
        Py_END_ALLOW_THREADS
        Py_ssize_t strong_count = (Py_ssize_t)in_offset[graph->node_count];
        if (!failed && result_new(&sources, array_type, 'I', strong_count) == 0) {
            Py_BEGIN_ALLOW_THREADS
            failed = fill_referrers(graph, in_offset, sources.view.buf) < 0;
            Py_END_ALLOW_THREADS
            pair = failed ? PyErr_NoMemory()
                          : Py_BuildValue("NN", result_take(&rows), result_take(&sources));
        }
        else if (failed) {
            PyErr_NoMemory();
        }
    }
    result_drop(&rows);
    result_drop(&sources);
    edges_release(&edges);
    return pair;
}

PyObject *
native_shortest_paths(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset", "edge_target", "edge_label", "root_tier", NULL};
    PyObject *offset, *target, *label, *tier;
    EdgeColumns edges;
    Column tiers = {NULL, NULL, 0};
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

static int
check_counted(const Column *types, long long type_count, long long skip_flags)
{
    const uint32_t *type = types->data;
    uint32_t last = 0;
    for (Py_ssize_t node = 0; node < types->length; node++) {
        last = type[node] > last ? type[node] : last;
    }
    if ((long long)last >= type_count) {
        PyErr_Format(PyExc_ValueError, "node_type names type %u of only %lld types", last, type_count);
        return -1;
    }
    return flags_check(skip_flags, "skip_flags");
}

static int
read_counted(Column *types, Column *flags, Column *sizes, PyObject *type, PyObject *size,
             PyObject *flag)
{
    if (column_read(types, type, "node_type", 'I') < 0) {
        return -1;
    }
    if (types->length == 0) {
        PyErr_SetString(PyExc_ValueError, "node_type is empty: without node 0 there is no heap");
        return -1;
    }
    if (node_column_read(flags, flag, "node_flags", 'H', types->length) < 0) {
        return -1;
    }
    return sizes_read(sizes, size, types->length);
}

PyObject *
native_count_types(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_type", "node_size", "node_flags", "type_count", "skip_flags", NULL};
    PyObject *type, *size, *flag, *pair = NULL, *array_type = module_state(module)->array_type;
    long long type_count, skip_flags = 0;
    Column types = {NULL, NULL, 0}, flags = types, sizes = types;
    Result counts = {NULL}, bytes = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOL|L:count_types", names, &type, &size, &flag,
                                     &type_count, &skip_flags)) {
        return NULL;
    }
    if (read_counted(&types, &flags, &sizes, type, size, flag) == 0
        && check_counted(&types, type_count, skip_flags) == 0
        && result_new(&counts, array_type, 'Q', (Py_ssize_t)type_count) == 0
        && result_new(&bytes, array_type, 'Q', (Py_ssize_t)type_count) == 0) {
        Py_BEGIN_ALLOW_THREADS
        add_up_types(types.data, sizes.data, flags.data, (uint64_t)types.length,
                     (unsigned)skip_flags, counts.view.buf, bytes.view.buf);
        Py_END_ALLOW_THREADS
        pair = Py_BuildValue("NN", result_take(&counts), result_take(&bytes));
    }
    result_drop(&counts);
    result_drop(&bytes);
    column_release(&types);
    column_release(&flags);
    column_release(&sizes);
    return pair;
}

static int
read_identities(Column *address, Column *key, PyObject *addresses, PyObject *keys, char heap)
{
    char address_name[] = "address_?", key_name[] = "key_?";
    address_name[8] = key_name[4] = heap;
    if (column_read(address, addresses, address_name, 'Q') < 0
        || column_read(key, keys, key_name, 'Q') < 0) {
        return -1;
    }
    if (address->length == 0) {
        PyErr_Format(PyExc_ValueError, "%s is empty: without node 0 there is no heap", address_name);
        return -1;
    }
    if (key->length != address->length) {
        PyErr_Format(PyExc_ValueError, "%s has %zd entries for %zd nodes", key_name, key->length,
                     address->length);
        return -1;
    }
    return 0;
}

PyObject *
native_match_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"address_a", "key_a", "address_b", "key_b", NULL};
    PyObject *given[4], *found = NULL;
    Column columns[4] = {{NULL, NULL, 0}};
    Result matched = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:match_nodes", names, &given[0], &given[1],
                                     &given[2], &given[3])) {
        return NULL;
    }
    if (read_identities(&columns[0], &columns[1], given[0], given[1], 'a') == 0
        && read_identities(&columns[2], &columns[3], given[2], given[3], 'b') == 0
        && result_new(&matched, module_state(module)->array_type, 'I', columns[2].length) == 0) {
        int outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = match_addresses(columns[0].data, columns[1].data, (uint64_t)columns[0].length,
                                  columns[2].data, columns[3].data, (uint64_t)columns[2].length,
                                  matched.view.buf);
        Py_END_ALLOW_THREADS
        if (outcome > 0) {
            PyErr_SetString(PyExc_ValueError, "address_a has the same address for several nodes");
        }
        else {
            found = outcome < 0 ? PyErr_NoMemory() : result_take(&matched);
        }
    }
    result_drop(&matched);
    for (int i = 0; i < 4; i++) {
        column_release(&columns[i]);
    }
    return found;
}
