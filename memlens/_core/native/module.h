/* The state of the module: nothing of it is global. */
#ifndef MEMLENS_MODULE_H
#define MEMLENS_MODULE_H

#include "compat.h"

typedef struct {
    PyObject *array_type;   /* array.array */
    PyObject *section_type; /* sections.c */
    traverseproc python_traverse; /* of every class that a class statement makes */
} ModuleState;

static inline ModuleState *
module_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* The functions of the module, one file a subject. */
PyObject *native_dominator_tree(PyObject *, PyObject *, PyObject *);
PyObject *native_reverse_edges(PyObject *, PyObject *, PyObject *);
PyObject *native_shortest_paths(PyObject *, PyObject *, PyObject *);
PyObject *native_count_types(PyObject *, PyObject *, PyObject *);
PyObject *native_match_nodes(PyObject *, PyObject *, PyObject *);
PyObject *native_children_rows(PyObject *, PyObject *, PyObject *);
PyObject *native_spread_flags(PyObject *, PyObject *, PyObject *);
PyObject *native_nearest_marked(PyObject *, PyObject *, PyObject *);
PyObject *native_retained_by_group(PyObject *, PyObject *, PyObject *);
PyObject *native_reached_nodes(PyObject *, PyObject *, PyObject *);
PyObject *native_edges_between(PyObject *, PyObject *, PyObject *);
PyObject *native_grown_rows(PyObject *, PyObject *, PyObject *);
PyObject *native_largest_nodes(PyObject *, PyObject *, PyObject *);
PyObject *native_identity_keys(PyObject *, PyObject *, PyObject *);
PyObject *native_mark_matched(PyObject *, PyObject *, PyObject *);
PyObject *native_capture(PyObject *, PyObject *, PyObject *);
PyObject *native_fork_capture(PyObject *, PyObject *, PyObject *);

#endif
