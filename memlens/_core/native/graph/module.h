/* The state of memlens._core._graph: nothing of it is global. */
#ifndef MEMLENS_GRAPH_MODULE_H
#define MEMLENS_GRAPH_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    PyObject *array_type; /* array.array */
} ModuleState;

static inline ModuleState *
module_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* functions_graph.c */
PyObject *graph_dominator_tree(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_reverse_edges(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_shortest_paths(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_reached_nodes(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_edges_between(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_nodes.c */
PyObject *graph_count_types(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_largest_nodes(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_pairs.c */
PyObject *graph_match_nodes(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_mark_matched(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_places.c */
PyObject *graph_place_keys(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_tree.c */
PyObject *graph_children_rows(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_spread_flags(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_nearest_marked(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_subtree_sums(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_retained_by_group(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_growth.c */
PyObject *graph_birth_steps(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_match_runs(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_matches_of_runs(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_number_keys(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_mark_born(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_reach_marked(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_share_sizes(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_rows.c */
PyObject *graph_group_nodes(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_chosen_lengths(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_unlisted_nodes(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_row_lengths(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_row_gains(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_scans.c */
PyObject *graph_text_keys(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_nodes_of_types(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_is_ascending(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_nodes_flagged(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_edges_labelled(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_mark_containers(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_mark_buffers(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_mostly_flagged(PyObject *module, PyObject *args, PyObject *kwargs);

/* functions_texts.c */
PyObject *graph_decimal_rows(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *graph_identity_numbers(PyObject *module, PyObject *args, PyObject *kwargs);

#endif
