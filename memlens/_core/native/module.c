/* memlens._core._native: the core in C, a drop-in for memlens._core.pure.
 *
 * Multi-phase initialisation, all state in the module. On an interpreter that compat.h does not
 * know the import raises ImportError, and memlens falls back to the reference. */
#include "compat.h"

#if !MEMLENS_SUPPORTED

static int
module_exec(PyObject *module)
{
    (void)module;
    PyErr_SetString(PyExc_ImportError,
                    "the C core of memlens supports CPython 3.10 to 3.13 on 64-bit systems, with the"
                    " GIL: this interpreter uses the pure Python core instead");
    return -1;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "memlens._core._native",
    .m_slots = module_slots,
};

#else

#include "capture.h"
#include "module.h"
#include "sections.h"

static PyObject *
refuse(const char *what)
{
    PyErr_Format(PyExc_ImportError, "the C core of memlens was built for CPython 3.%d, %s",
                 MEMLENS_MINOR, what);
    return NULL;
}

/* A binary for one minor may be loaded by another: they must not be mixed up. */
static int
check_interpreter(void)
{
    PyObject *version = PySys_GetObject("hexversion"); /* borrowed */
    long found = version == NULL ? 0 : PyLong_AsLong(version);
    if (found == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (((found >> 16) & 0xff) != MEMLENS_MINOR || (found >> 24) != 3) {
        return refuse("but is loaded by another version") == NULL ? -1 : 0;
    }
    return 0;
}

static int
module_exec(PyObject *module)
{
    ModuleState *state = module_state(module);
    if (check_interpreter() < 0) {
        return -1;
    }
    PyObject *array_module = PyImport_ImportModule("array");
    if (array_module == NULL) {
        return -1;
    }
    state->array_type = PyObject_GetAttrString(array_module, "array");
    Py_DECREF(array_module);
    state->section_type = make_section_type(module);
    state->python_traverse = find_python_traverse();
    if (state->python_traverse == NULL) {
        return -1;
    }
    return state->array_type == NULL || state->section_type == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    ModuleState *state = module_state(module);
    Py_VISIT(state->array_type);
    Py_VISIT(state->section_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    ModuleState *state = module_state(module);
    Py_CLEAR(state->array_type);
    Py_CLEAR(state->section_type);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

#define FUNCTION(name, doc)                                                                         \
    {#name, (PyCFunction)(void (*)(void))native_##name, METH_VARARGS | METH_KEYWORDS, doc}

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
    FUNCTION(match_nodes, "match_nodes(address_a, key_a, address_b, key_b)\n--\n\n"
             "Which node of heap ``a`` each node of heap ``b`` was: same address, same 64-bit key."),
    FUNCTION(children_rows, "children_rows(dominator)\n--\n\n"
             "The nodes that each node immediately dominates, as compressed rows."),
    FUNCTION(spread_flags, "spread_flags(dominator, node_flags, mask)\n--\n\n"
             "The flags of all nodes, those of ``mask`` handed down to all that a node dominates."),
    FUNCTION(nearest_marked, "nearest_marked(dominator, mark)\n--\n\n"
             "For each node itself, or else its nearest dominator, that is marked."),
    FUNCTION(retained_by_group,
             "retained_by_group(dominator, retained, group, group_count, node_flags,"
             " skip_flags=0)\n--\n\n"
             "The bytes that each group of nodes retains, nothing counted twice within a group."),
    FUNCTION(reached_nodes, "reached_nodes(edge_offset, edge_target, edge_label, without)\n--\n\n"
             "What node 0 still reaches over strong edges without the marked nodes."),
    FUNCTION(edges_between,
             "edges_between(edge_offset, edge_target, edge_label, source_mark, target_mark)\n--\n\n"
             "The strong edges that lead from a marked source to a marked target."),
    FUNCTION(grown_rows, "grown_rows(edge_offset_a, edge_offset_b, same)\n--\n\n"
             "The nodes of heap ``b`` that have more edges than the same object had in ``a``."),
    FUNCTION(largest_nodes, "largest_nodes(node_value, node_flags, count, skip_flags=0)\n--\n\n"
             "The ``count`` nodes with the highest values, highest first, of equal ones the lower node."),
    FUNCTION(identity_keys, "identity_keys(node_type, node_size, type_key, type_is_sized)\n--\n\n"
             "A 64-bit key for each node: of its type, and its size if fixed."),
    FUNCTION(mark_matched, "mark_matched(same, flags_a, flags_b, skip_flags, mark)\n--\n\n"
             "Both heaps' flags with the bits ``mark`` added to what both have."),
    FUNCTION(capture, "capture(*, values=False, own_prefix='', skip_frames=0)\n--\n\n"
             "Capture the heap of this process as the sections of `memlens._core.layout`."),
    FUNCTION(fork_capture,
             "fork_capture(file_fd, progress_fd, facts_fd, *, values=False, own_prefix='',"
             " skip_frames=0)\n--\n\n"
             "Fork a child that captures the heap into a file; return its process id at once.\n\n"
             "The caller sends the facts (u32 length, JSON) through the other end of facts_fd, reads\n"
             "progress (six u64: stage, objects, edges, bytes, nanoseconds, errno), and waits."),
    {NULL, NULL, 0, NULL},
};

/* No slot for sub-interpreters: the default refuses those with a GIL of their own. */
static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "memlens._core._native",
    .m_doc = "The core in C: the same functions as memlens._core.pure.",
    .m_size = sizeof(ModuleState),
    .m_methods = module_functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

#endif

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&module_def);
}
