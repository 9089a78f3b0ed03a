/* Over the dominator tree: pure/trees.py, on arrays. */
#include "module.h"
#include "results.h"
#include "tree.h"

static const Column no_column = {NULL, NULL, 0};

/* offset: count + 1 zeros. */
static void
count_children(const Tree *tree, uint64_t *offset)
{
    for (uint32_t node = 0; node < tree->count; node++) {
        if (tree->parent[node] != NODE_NONE) {
            offset[tree->parent[node] + 1]++;
        }
    }
    for (uint32_t node = 0; node < tree->count; node++) {
        offset[node + 1] += offset[node];
    }
}

static int
fill_children(const Tree *tree, const uint64_t *offset, uint32_t *children)
{
    Buffer memory = {NULL, 0, 0};
    if (buffer_zeros(&memory, (size_t)tree->count * sizeof(uint64_t)) < 0) {
        return -1;
    }
    uint64_t *next = (uint64_t *)memory.data;
    memcpy(next, offset, (size_t)tree->count * sizeof(uint64_t));
    for (uint32_t node = 0; node < tree->count; node++) {
        if (tree->parent[node] != NODE_NONE) {
            children[next[tree->parent[node]]++] = node;
        }
    }
    buffer_free(&memory);
    return 0;
}

PyObject *
native_children_rows(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator", NULL};
    PyObject *dominator, *pair = NULL, *array_type = module_state(module)->array_type;
    Tree tree;
    Result rows = {NULL}, children = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:children_rows", names, &dominator)
        || tree_read(&tree, dominator) < 0) {
        return NULL;
    }
    if (result_new(&rows, array_type, 'Q', (Py_ssize_t)tree.count + 1) == 0) {
        uint64_t *offset = rows.view.buf;
        Py_BEGIN_ALLOW_THREADS
        count_children(&tree, offset);
        Py_END_ALLOW_THREADS
        if (result_new(&children, array_type, 'I', (Py_ssize_t)offset[tree.count]) == 0) {
            int failed;
            Py_BEGIN_ALLOW_THREADS
            failed = fill_children(&tree, offset, children.view.buf) < 0;
            Py_END_ALLOW_THREADS
            pair = failed ? PyErr_NoMemory()
                          : Py_BuildValue("NN", result_take(&rows), result_take(&children));
        }
    }
    result_drop(&rows);
    result_drop(&children);
    column_release(&tree.column);
    return pair;
}

/* ---- from the top down ------------------------------------------------------------------------ */

PyObject *
native_spread_flags(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator", "node_flags", "mask", NULL};
    PyObject *dominator, *flag, *found = NULL;
    long long mask;
    Tree tree;
    Column flags = no_column;
    Result spread = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOL:spread_flags", names, &dominator, &flag,
                                     &mask)
        || tree_read(&tree, dominator) < 0) {
        return NULL;
    }
    if (node_column_read(&flags, flag, "node_flags", 'H', tree.count) == 0
        && flags_check(mask, "mask") == 0
        && result_new(&spread, module_state(module)->array_type, 'H', tree.count) == 0) {
        int failed;
        Py_BEGIN_ALLOW_THREADS
        memcpy(spread.view.buf, flags.data, (size_t)tree.count * sizeof(uint16_t));
        failed = tree_spread_flags(&tree, spread.view.buf, (unsigned)mask) < 0;
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory() : result_take(&spread);
    }
    result_drop(&spread);
    column_release(&flags);
    column_release(&tree.column);
    return found;
}

typedef struct {
    const uint8_t *mark;
    uint32_t *nearest;
} Nearest;

static void
find_nearest(void *arg, uint32_t node, uint32_t parent)
{
    Nearest *work = arg;
    work->nearest[node] = work->mark[node] ? node
                          : parent == NODE_NONE ? NODE_NONE
                                                : work->nearest[parent];
}

PyObject *
native_nearest_marked(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"dominator", "mark", NULL};
    PyObject *dominator, *mark, *found = NULL;
    Tree tree;
    Column marks = no_column;
    Result nearest = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:nearest_marked", names, &dominator, &mark)
        || tree_read(&tree, dominator) < 0) {
        return NULL;
    }
    if (node_column_read(&marks, mark, "mark", 'B', tree.count) == 0
        && result_new(&nearest, module_state(module)->array_type, 'I', tree.count) == 0) {
        Nearest work = {marks.data, nearest.view.buf};
        int failed;
        Py_BEGIN_ALLOW_THREADS
        memset(work.nearest, 0xff, (size_t)tree.count * sizeof(uint32_t));
        failed = visit_downwards(&tree, find_nearest, &work) < 0;
        Py_END_ALLOW_THREADS
        found = failed ? PyErr_NoMemory() : result_take(&nearest);
    }
    result_drop(&nearest);
    column_release(&marks);
    column_release(&tree.column);
    return found;
}
