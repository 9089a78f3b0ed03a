/* memlens._core._graph: the computations over a captured graph, in C.
 *
 * Only the public C API and plain arrays, so it builds for every CPython, also for one that the
 * capture does not know and for a free-threaded one. Multi-phase initialisation; all state is in
 * the module and nobody writes to it after the import. */
#include "graph/module.h"

static int
module_exec(PyObject *module)
{
    PyObject *array_module = PyImport_ImportModule("array");
    if (array_module == NULL) {
        return -1;
    }
    ModuleState *state = module_state(module);
    state->array_type = PyObject_GetAttrString(array_module, "array");
    Py_DECREF(array_module);
    return state->array_type == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(module_state(module)->array_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    Py_CLEAR(module_state(module)->array_type);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

#define FUNCTION(name, doc)                                                                         \
    {#name, (PyCFunction)(void (*)(void))graph_##name, METH_VARARGS | METH_KEYWORDS, doc}

static PyMethodDef module_functions[] = {
    FUNCTION(dominator_tree, "dominator_tree(edge_offset, edge_target, edge_label, node_size)\n--\n\n"
             "The immediate dominator and the retained size of each node. Weak edges are left out."),
    FUNCTION(reverse_edges, "reverse_edges(edge_offset, edge_target, edge_label)\n--\n\n"
             "The referrers of each node, weak edges left out."),
    FUNCTION(shortest_paths,
             "shortest_paths(edge_offset, edge_target, edge_label, root_tier)\n--\n\n"
             "A shortest path from node 0 to each node, from the best root that reaches it at all."),
    FUNCTION(count_types,
             "count_types(node_type, node_size, node_flags, type_count, skip_flags=0)\n--\n\n"
             "How many objects there are of each type, and their shallow size."),
    FUNCTION(match_nodes,
             "match_nodes(address_a, type_a, size_a, type_key_a, type_is_sized_a, address_b, type_b,"
             " size_b, type_key_b, type_is_sized_b)\n--\n\n"
             "Which node of heap ``a`` each node of heap ``b`` was: same address, type, fixed size."),
    FUNCTION(children_rows, "children_rows(dominator)\n--\n\n"
             "The nodes that each node immediately dominates, as compressed rows."),
    FUNCTION(spread_flags, "spread_flags(dominator, node_flags, mask)\n--\n\n"
             "The flags of all nodes, those of ``mask`` handed down to all that a node dominates."),
    FUNCTION(nearest_marked, "nearest_marked(dominator, mark)\n--\n\n"
             "For each node itself, or else its nearest dominator, that is marked."),
    FUNCTION(subtree_sums, "subtree_sums(dominator, node_size)\n--\n\n"
             "For each node the sum of the sizes of the node and all that it dominates."),
    FUNCTION(retained_by_group,
             "retained_by_group(dominator, retained, group, group_count, node_flags,"
             " skip_flags=0)\n--\n\n"
             "The bytes that each group of nodes retains, nothing counted twice within a group."),
    FUNCTION(reached_nodes, "reached_nodes(edge_offset, edge_target, edge_label, without)\n--\n\n"
             "What node 0 still reaches over strong edges without the marked nodes."),
    FUNCTION(edges_between,
             "edges_between(edge_offset, edge_target, edge_label, source_mark, target_mark)\n--\n\n"
             "The strong edges that lead from a marked source to a marked target."),
    FUNCTION(place_keys,
             "place_keys(edge_offset, edge_target, edge_label, path_edges, node_type, string_key,"
             " type_key, root_key, anchor_node, anchor_key, namespace_string)\n--\n\n"
             "The place of each node as a 64-bit key, and which nodes repeat one above them."),
    FUNCTION(largest_nodes, "largest_nodes(node_value, node_flags, count, skip_flags=0)\n--\n\n"
             "The ``count`` nodes with the highest values, highest first, of equal ones the lower node."),
    FUNCTION(mark_matched, "mark_matched(same, flags_a, flags_b, skip_flags, mark)\n--\n\n"
             "Both heaps' flags with the bits ``mark`` added to what both have."),
    FUNCTION(match_runs, "match_runs(same)\n--\n\n"
             "Matches as runs, which take less memory where most objects are where they were."),
    FUNCTION(matches_of_runs, "matches_of_runs(runs, node_count)\n--\n\n"
             "The matches that runs stand for."),
    FUNCTION(birth_steps, "birth_steps(matches, first_count)\n--\n\n"
             "The snapshot in which each object was first seen."),
    FUNCTION(mark_born, "mark_born(birth, since, node_flags, skip_flags)\n--\n\n"
             "A byte for each node: 1 if it was born after a snapshot and is not skipped."),
    FUNCTION(reach_marked, "reach_marked(edge_offset, edge_target, edge_label, mark, entry)\n--\n\n"
             "The marked nodes that entries reach over strong edges and marked nodes."),
    FUNCTION(share_sizes, "share_sizes(node_size, row_offset, row_node)\n--\n\n"
             "The sizes of each row's nodes, each shared among the rows that name it."),
    FUNCTION(group_nodes, "group_nodes(key, mark, node_flags, skip_flags)\n--\n\n"
             "The marked nodes as rows of equal keys: keys, offsets and nodes."),
    FUNCTION(chosen_lengths,
             "chosen_lengths(edge_offset, edge_label, container_node, container_length, node)\n--\n\n"
             "The number of elements of each of some nodes."),
    FUNCTION(number_keys, "number_keys(key)\n--\n\n"
             "A number for each node's key, and the keys by their numbers."),
    FUNCTION(unlisted_nodes, "unlisted_nodes(node, same, listed)\n--\n\n"
             "Those nodes that were there before and were not among the listed ones."),
    FUNCTION(row_lengths,
             "row_lengths(row_offset, row_node, edge_offset, edge_label, container_node,"
             " container_length)\n--\n\n"
             "The number of elements of each row's nodes together."),
    FUNCTION(row_gains,
             "row_gains(row_offset, row_node, same, edge_offset_a, edge_label_a, container_node_a,"
             " container_length_a, edge_offset_b, edge_label_b, container_node_b,"
             " container_length_b)\n--\n\n"
             "By how much the nodes of each row are longer than before, all together."),
    FUNCTION(text_keys, "text_keys(string_offset, string_bytes)\n--\n\n"
             "A 64-bit key of each stored text: two checksums."),
    FUNCTION(nodes_of_types, "nodes_of_types(node_type, type_mark)\n--\n\n"
             "The nodes whose type is marked."),
    FUNCTION(is_ascending, "is_ascending(node)\n--\n\n"
             "Whether each number is greater than the one before it."),
    FUNCTION(nodes_flagged, "nodes_flagged(node_flags, flags)\n--\n\n"
             "The nodes that have one of some flags."),
    FUNCTION(edges_labelled, "edges_labelled(edge_label, label)\n--\n\n"
             "The edges that bear a label."),
    FUNCTION(mark_containers,
             "mark_containers(edge_offset, node_type, type_skipped, container_node, min_references)\n--\n\n"
             "A byte for each node: 1 for what has a length or many references."),
    FUNCTION(mark_buffers, "mark_buffers(node_size, container_node, min_bytes)\n--\n\n"
             "A byte for each node: 1 for large ones without elements."),
    FUNCTION(mostly_flagged,
             "mostly_flagged(edge_offset, edge_target, edge_label, node_flags, flags)\n--\n\n"
             "The nodes without some flags most of whose references lead to nodes with them."),
    FUNCTION(decimal_rows, "decimal_rows(columns)\n--\n\n"
             "The rows of some columns as text: each number in decimal, a comma after each."),
    FUNCTION(identity_numbers,
             "identity_numbers(node_address, node_type, node_size, type_key, type_is_sized,"
             " limit)\n--\n\n"
             "A number below the limit for each node that follows from its identity."),
    {NULL, NULL, 0, NULL},
};

/* No slot for sub-interpreters: the default refuses those with a GIL of their own. */
static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "memlens._core._graph",
    .m_doc = "Computations over a captured graph: the same functions as memlens._core.pure.",
    .m_size = sizeof(ModuleState),
    .m_methods = module_functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__graph(void)
{
    return PyModuleDef_Init(&module_def);
}
