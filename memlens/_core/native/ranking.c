/* The largest nodes, keys of identity, and what two heaps have in common: pure/counts.py, on arrays. */
#include "columns.h"
#include "module.h"
#include "ranking.h"
#include "results.h"

static const Column no_column = {NULL, NULL, 0};

/* ---- the largest: a heap of those kept, the one that goes first at its top --------------------- */

static inline int
ranks_before(const uint64_t *value, uint32_t a, uint32_t b)
{
    return value[a] > value[b] || (value[a] == value[b] && a < b);
}

static void
sift_down(const uint64_t *value, uint32_t *heap, size_t count, size_t at)
{
    uint32_t node = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && ranks_before(value, heap[child], heap[child + 1])) {
            child++;
        }
        if (!ranks_before(value, node, heap[child])) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = node;
}

size_t
rank_largest(const uint64_t *value, const uint16_t *flags, size_t node_count, unsigned skip_flags,
             uint32_t *largest, size_t most)
{
    size_t kept = 0;
    for (size_t node = 1; node < node_count && most > 0; node++) {
        if (flags[node] & skip_flags) {
            continue;
        }
        if (kept < most) {
            largest[kept++] = (uint32_t)node;
            for (size_t at = kept / 2; kept == most && at-- > 0;) {
                sift_down(value, largest, kept, at);
            }
        }
        else if (value[node] > value[largest[0]]) { /* of equal ones the lower node is there */
            largest[0] = (uint32_t)node;
            sift_down(value, largest, kept, 0);
        }
    }
    for (size_t at = kept / 2; kept < most && at-- > 0;) {
        sift_down(value, largest, kept, at);
    }
    for (size_t end = kept; end-- > 1;) {
        uint32_t last = largest[0];
        largest[0] = largest[end];
        largest[end] = last;
        sift_down(value, largest, end, 0);
    }
    return kept;
}

static size_t
count_shown(const uint16_t *flags, size_t node_count, unsigned skip_flags)
{
    size_t count = 0;
    for (size_t node = 1; node < node_count; node++) {
        count += !(flags[node] & skip_flags);
    }
    return count;
}

PyObject *
native_largest_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_value", "node_flags", "count", "skip_flags", NULL};
    PyObject *value, *flag, *found = NULL;
    long long most, skip_flags = 0;
    Column values = no_column, flags = no_column;
    Result largest = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOL|L:largest_nodes", names, &value, &flag,
                                     &most, &skip_flags)
        || column_read(&values, value, "node_value", 'Q') < 0) {
        return NULL;
    }
    if (values.length >= (Py_ssize_t)NODE_NONE) {
        PyErr_SetString(PyExc_ValueError, "node_value has more nodes than 32 bits can number");
    }
    else if (node_column_read(&flags, flag, "node_flags", 'H', values.length) == 0
             && flags_check(skip_flags, "skip_flags") == 0) {
        size_t shown = count_shown(flags.data, (size_t)values.length, (unsigned)skip_flags);
        shown = most >= 0 && (uint64_t)most < shown ? (size_t)most : shown;
        if (most < 0) {
            PyErr_Format(PyExc_ValueError, "count must not be negative, but is %lld", most);
        }
        else if (result_new(&largest, module_state(module)->array_type, 'I', (Py_ssize_t)shown)
                 == 0) {
            Py_BEGIN_ALLOW_THREADS
            rank_largest(values.data, flags.data, (size_t)values.length, (unsigned)skip_flags,
                         largest.view.buf, shown);
            Py_END_ALLOW_THREADS
            found = result_take(&largest);
        }
    }
    result_drop(&largest);
    column_release(&flags);
    column_release(&values);
    return found;
}

/* ---- identity -------------------------------------------------------------------------------- */

static int
check_types(const Column *types, const Column *keys, const Column *sized)
{
    const uint32_t *type = types->data;
    int64_t last = -1;
    if (sized->length != keys->length) {
        PyErr_Format(PyExc_ValueError, "type_is_sized has %zd entries for %zd types", sized->length,
                     keys->length);
        return -1;
    }
    for (Py_ssize_t node = 0; node < types->length; node++) {
        last = type[node] > last ? type[node] : last;
    }
    if (last >= keys->length) {
        PyErr_Format(PyExc_ValueError, "node_type names type %lld of only %zd types",
                     (long long)last, keys->length);
        return -1;
    }
    return 0;
}

PyObject *
native_identity_keys(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"node_type", "node_size", "type_key", "type_is_sized", NULL};
    PyObject *given[4], *found = NULL;
    Column types = no_column, sizes = no_column, type_keys = no_column, sized = no_column;
    Result keys = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:identity_keys", names, &given[0], &given[1],
                                     &given[2], &given[3])) {
        return NULL;
    }
    if (column_read(&types, given[0], "node_type", 'I') == 0
        && sizes_read(&sizes, given[1], types.length) == 0
        && column_read(&type_keys, given[2], "type_key", 'Q') == 0
        && column_read(&sized, given[3], "type_is_sized", 'B') == 0
        && check_types(&types, &type_keys, &sized) == 0
        && result_new(&keys, module_state(module)->array_type, 'Q', types.length) == 0) {
        const uint32_t *type = types.data;
        const uint64_t *size = sizes.data, *key = type_keys.data;
        const uint8_t *is_sized = sized.data;
        uint64_t *out = keys.view.buf;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t node = 0; node < types.length; node++) {
            out[node] = key[type[node]] + (is_sized[type[node]] ? size[node] : 0);
        }
        Py_END_ALLOW_THREADS
        found = result_take(&keys);
    }
    result_drop(&keys);
    column_release(&types);
    column_release(&sizes);
    column_release(&type_keys);
    column_release(&sized);
    return found;
}

/* ---- what both have -------------------------------------------------------------------------- */

static int
check_same(const Column *same, Py_ssize_t count)
{
    const uint32_t *matched = same->data;
    for (Py_ssize_t node = 0; node < same->length; node++) {
        if (matched[node] != NODE_NONE && (Py_ssize_t)matched[node] >= count) {
            PyErr_Format(PyExc_ValueError, "same names node %u of only %zd nodes", matched[node],
                         count);
            return -1;
        }
    }
    return 0;
}

static void
mark_pairs(const Column *same, uint16_t *flags_a, Py_ssize_t count_a, uint16_t *flags_b,
           unsigned skip_flags, unsigned mark)
{
    const uint32_t *matched = same->data;
    unsigned clear = 0xffff & ~mark, skipped = skip_flags & clear;
    for (Py_ssize_t node = 0; node < count_a; node++) {
        flags_a[node] &= (uint16_t)clear;
    }
    for (Py_ssize_t node = 0; node < same->length; node++) {
        uint32_t old = matched[node];
        flags_b[node] &= (uint16_t)clear;
        if (old != NODE_NONE && !((flags_b[node] | flags_a[old]) & skipped)) {
            flags_b[node] |= (uint16_t)mark;
            flags_a[old] |= (uint16_t)mark;
        }
    }
}

PyObject *
native_mark_matched(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"same", "flags_a", "flags_b", "skip_flags", "mark", NULL};
    PyObject *given[3], *pair = NULL, *array_type = module_state(module)->array_type;
    long long skip_flags, mark;
    Column same = no_column, flags_a = no_column, flags_b = no_column;
    Result marked_a = {NULL}, marked_b = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOLL:mark_matched", names, &given[0], &given[1],
                                     &given[2], &skip_flags, &mark)) {
        return NULL;
    }
    if (column_read(&same, given[0], "same", 'I') == 0
        && node_column_read(&flags_b, given[2], "flags_b", 'H', same.length) == 0
        && column_read(&flags_a, given[1], "flags_a", 'H') == 0
        && check_same(&same, flags_a.length) == 0 && flags_check(skip_flags, "skip_flags") == 0
        && flags_check(mark, "mark") == 0
        && result_new(&marked_a, array_type, 'H', flags_a.length) == 0
        && result_new(&marked_b, array_type, 'H', flags_b.length) == 0) {
        Py_BEGIN_ALLOW_THREADS
        memcpy(marked_a.view.buf, flags_a.data, (size_t)flags_a.length * sizeof(uint16_t));
        memcpy(marked_b.view.buf, flags_b.data, (size_t)flags_b.length * sizeof(uint16_t));
        mark_pairs(&same, marked_a.view.buf, flags_a.length, marked_b.view.buf, (unsigned)skip_flags,
                   (unsigned)mark);
        Py_END_ALLOW_THREADS
        pair = Py_BuildValue("NN", result_take(&marked_a), result_take(&marked_b));
    }
    result_drop(&marked_a);
    result_drop(&marked_b);
    column_release(&same);
    column_release(&flags_a);
    column_release(&flags_b);
    return pair;
}
