/* Roots without a name: objects with more references than all edges explain. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/unnamed_roots.h"
#include "capture/interpreter_names.h"

/* Values that the interpreter makes once: before 3.12 they have an ordinary reference count. */
static int
is_made_once(PyObject *object, PyTypeObject *type)
{
    if (object == Py_None || object == Py_True || object == Py_False || object == Py_Ellipsis
        || object == Py_NotImplemented) {
        return 1;
    }
    if (type == &PyLong_Type) {
        int overflow;
        long value = PyLong_AsLongAndOverflow(object, &overflow);
        return !overflow && value >= -5 && value <= 256;
    }
    if (type == &PyTuple_Type || type == &PyBytes_Type) {
        return Py_SIZE(object) == 0 || (type == &PyBytes_Type && Py_SIZE(object) == 1);
    }
    return type == &PyUnicode_Type && PyUnicode_GET_LENGTH(object) <= 1
           && PyUnicode_KIND(object) == PyUnicode_1BYTE_KIND;
}

static int
unnamed_kind(PyObject *object, uint32_t excess)
{
    PyTypeObject *type = Py_TYPE(object);
    int immortal = compat_is_immortal(object);
    if (PyType_Check(object) && !(((PyTypeObject *)object)->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return ROOT_STATIC_TYPE;
    }
    if (excess == 0 && !immortal) {
        return 0;
    }
    if (is_made_once(object, type)) {
        return ROOT_IMMORTAL;
    }
    if (type == &PyUnicode_Type && (immortal || PyUnicode_CHECK_INTERNED(object))) {
        return ROOT_INTERNED;
    }
    return immortal ? ROOT_IMMORTAL : ROOT_EXTERNAL;
}

static void
explain(Capture *capture, uint32_t index)
{
    uint32_t *left = ITEMS(capture->node_references, uint32_t)
                     + ITEMS(capture->node_of, uint32_t)[index];
    if (*left != 0 && *left != MANY_REFERENCES) {
        --*left;
    }
}

/* The best names first, otherwise in the order found. */
static void
sort_roots(Capture *capture)
{
    Buffer sorted = {NULL, 0, 0};
    for (int kind = ROOT_MODULE; kind <= ROOT_EXTERNAL; kind++) {
        for (size_t i = 0; i < COUNT(capture->roots, Root); i++) {
            const Root *root = ITEMS(capture->roots, Root) + i;
            if (root->kind == kind) {
                PUSH_ROW(capture, &sorted, *root);
            }
        }
    }
    buffer_free(&capture->roots);
    capture->roots = sorted;
}

static void
explain_known_references(Capture *capture)
{
    for (size_t i = 0; i < COUNT(capture->roots, Root); i++) {
        if (ITEMS(capture->roots, Root)[i].counted) {
            explain(capture, ITEMS(capture->roots, Root)[i].index);
        }
    }
    for (size_t i = 0; i < COUNT(capture->hidden, uint32_t); i++) {
        explain(capture, ITEMS(capture->hidden, uint32_t)[i]);
    }
}

/* found: for each kind of root the indices of its objects. */
static void
list_unnamed(Capture *capture, Buffer *found)
{
    const uint32_t *excess = ITEMS(capture->node_references, uint32_t);
    const uint16_t *flags = ITEMS(capture->node_flags, uint16_t);
    const uint32_t *type_row = ITEMS(capture->node_type, uint32_t);
    const Plan *plans = ITEMS(capture->plans, Plan);
    for (uint32_t node = 1; node < capture->node_count; node++) {
        int is_class = plans[type_row[node]].known == &PyType_Type;
        if (excess[node] == 0 && !(flags[node] & FLAG_IMMORTAL) && !is_class) {
            continue;
        }
        int kind = unnamed_kind(object_of_node(capture, node), excess[node]);
        if (kind != 0) {
            uint32_t index = ITEMS(capture->node_index, uint32_t)[node];
            capture->failed |= push_u32(&found[kind], index) < 0;
        }
    }
}

static void
add_unnamed(Capture *capture, const InterpreterNames *names, uint32_t index, int kind)
{
    Root root = {index, 0, NODE_NONE, (uint8_t)kind, 0};
    const char *name = NULL;
    if (kind == ROOT_EXTERNAL) {
        name = interpreter_name(capture, names, object_at(capture, index));
    }
    if (name != NULL) {
        root.kind = ROOT_INTERPRETER;
        root.name = strings_add_text(&capture->strings, name);
    }
    PUSH_ROW(capture, &capture->roots, root);
}

void
find_unnamed_roots(Capture *capture)
{
    Buffer found[ROOT_EXTERNAL + 1] = {{NULL, 0, 0}};
    InterpreterNames names;
    find_interpreter_names(capture, &names);
    explain_known_references(capture);
    list_unnamed(capture, found);
    for (int kind = ROOT_STATIC_TYPE; kind <= ROOT_EXTERNAL; kind++) {
        for (size_t i = 0; i < COUNT(found[kind], uint32_t) && !capture->failed; i++) {
            add_unnamed(capture, &names, ITEMS(found[kind], uint32_t)[i], kind);
        }
        buffer_free(&found[kind]);
    }
    sort_roots(capture);
}

#endif
