/* match_nodes, match_runs, matches_of_runs and mark_matched: what two heaps have in common. */
#include "graph/columns.h"
#include "graph/counts.h"
#include "graph/module.h"
#include "graph/results.h"
#include "graph/rows.h"

enum { ADDRESS, TYPE, SIZE, TYPE_KEY, TYPE_IS_SIZED, IDENTITY_COLUMNS };

static const struct {
    const char *name[2]; /* of heaps a and b */
    char typecode;
} IDENTITY[IDENTITY_COLUMNS] = {
    {{"address_a", "address_b"}, 'Q'},
    {{"type_a", "type_b"}, 'I'},
    {{"size_a", "size_b"}, 'Q'},
    {{"type_key_a", "type_key_b"}, 'Q'},
    {{"type_is_sized_a", "type_is_sized_b"}, 'B'},
};

static int
check_identities(const Column *columns, int heap)
{
    Py_ssize_t count = columns[ADDRESS].length;
    if (count == 0) {
        PyErr_Format(PyExc_ValueError, "%s is empty: without node 0 there is no heap",
                     IDENTITY[ADDRESS].name[heap]);
        return -1;
    }
    if (length_check(&columns[TYPE], IDENTITY[TYPE].name[heap], count) < 0
        || length_check(&columns[SIZE], IDENTITY[SIZE].name[heap], count) < 0) {
        return -1;
    }
    if (columns[TYPE_IS_SIZED].length != columns[TYPE_KEY].length) {
        PyErr_Format(PyExc_ValueError, "%s has %zd entries for %zd types",
                     IDENTITY[TYPE_IS_SIZED].name[heap], columns[TYPE_IS_SIZED].length,
                     columns[TYPE_KEY].length);
        return -1;
    }
    return nodes_check(&columns[TYPE], IDENTITY[TYPE].name[heap], columns[TYPE_KEY].length);
}

/* Returns -1 with an exception set. The columns are to be released then, too. */
static int
read_identities(Identities *identities, Column *columns, PyObject *const *given, int heap)
{
    for (int i = 0; i < IDENTITY_COLUMNS; i++) {
        if (column_read(&columns[i], given[i], IDENTITY[i].name[heap], IDENTITY[i].typecode) < 0) {
            return -1;
        }
    }
    *identities = (Identities){
        columns[ADDRESS].data,  columns[TYPE].data,          columns[SIZE].data,
        columns[TYPE_KEY].data, columns[TYPE_IS_SIZED].data, (uint64_t)columns[ADDRESS].length};
    return check_identities(columns, heap);
}

PyObject *
graph_match_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"address_a", "type_a", "size_a", "type_key_a", "type_is_sized_a",
                            "address_b", "type_b", "size_b", "type_key_b", "type_is_sized_b", NULL};
    PyObject *given[2 * IDENTITY_COLUMNS], *found = NULL;
    Column columns[2 * IDENTITY_COLUMNS] = {NO_COLUMN};
    Identities a, b;
    Result matched = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOOOO:match_nodes", names, &given[0],
                                     &given[1], &given[2], &given[3], &given[4], &given[5],
                                     &given[6], &given[7], &given[8], &given[9])) {
        return NULL;
    }
    if (read_identities(&a, columns, given, 0) == 0
        && read_identities(&b, columns + IDENTITY_COLUMNS, given + IDENTITY_COLUMNS, 1) == 0
        && result_new(&matched, module_state(module)->array_type, 'I', (Py_ssize_t)b.count) == 0) {
        int outcome;
        Py_BEGIN_ALLOW_THREADS
        outcome = match_addresses(&a, &b, matched.view.buf);
        Py_END_ALLOW_THREADS
        if (outcome > 0) {
            PyErr_SetString(PyExc_ValueError, "address_a has the same address for several nodes");
        }
        else {
            found = outcome < 0 ? PyErr_NoMemory() : result_take(&matched);
        }
    }
    result_drop(&matched);
    columns_release(columns, 2 * IDENTITY_COLUMNS);
    return found;
}

PyObject *
graph_match_runs(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"same", NULL};
    PyObject *given, *found = NULL;
    Column same;
    Result runs = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:match_runs", names, &given)
        || column_read(&same, given, "same", 'I') < 0) {
        return NULL;
    }
    if (length_check(&same, "same", same.length) == 0) {
        size_t count;
        Py_BEGIN_ALLOW_THREADS
        count = find_match_runs(same.data, (size_t)same.length, NULL);
        Py_END_ALLOW_THREADS
        if (result_new(&runs, module_state(module)->array_type, 'Q', (Py_ssize_t)count) == 0) {
            find_match_runs(same.data, (size_t)same.length, runs.view.buf);
            found = result_take(&runs);
        }
    }
    column_release(&same);
    return found;
}

static int
check_runs(const Column *runs, long long count)
{
    const uint64_t *run = runs->data;
    int fits = count >= 0 && count < (long long)NODE_NONE && (count == 0) == (runs->length == 0)
               && (count == 0 || run[0] >> 32 == 0);
    for (Py_ssize_t i = 0; i < runs->length && fits; i++) {
        uint64_t start = run[i] >> 32, was = (uint32_t)run[i];
        uint64_t end = i + 1 < runs->length ? run[i + 1] >> 32 : (uint64_t)count;
        fits = start < end && (was == NODE_NONE || was + (end - start) <= NODE_NONE);
    }
    if (!fits) {
        PyErr_Format(PyExc_ValueError, "runs do not fit %lld nodes", count);
        return -1;
    }
    return 0;
}

PyObject *
graph_matches_of_runs(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"runs", "node_count", NULL};
    PyObject *given, *found = NULL;
    long long count;
    Column runs;
    Result same = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OL:matches_of_runs", names, &given, &count)
        || column_read(&runs, given, "runs", 'Q') < 0) {
        return NULL;
    }
    if (check_runs(&runs, count) == 0
        && result_new(&same, module_state(module)->array_type, 'I', (Py_ssize_t)count) == 0) {
        Py_BEGIN_ALLOW_THREADS
        expand_match_runs(runs.data, (size_t)runs.length, (size_t)count, same.view.buf);
        Py_END_ALLOW_THREADS
        found = result_take(&same);
    }
    column_release(&runs);
    return found;
}

static int
check_each_match(const Column *same, Py_ssize_t count)
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

PyObject *
graph_mark_matched(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"same", "flags_a", "flags_b", "skip_flags", "mark", NULL};
    PyObject *given[3], *pair = NULL, *array_type = module_state(module)->array_type;
    long long skip_flags, mark;
    Column same = NO_COLUMN, flags_a = NO_COLUMN, flags_b = NO_COLUMN;
    Result marked_a = {NULL}, marked_b = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOLL:mark_matched", names, &given[0], &given[1],
                                     &given[2], &skip_flags, &mark)) {
        return NULL;
    }
    if (column_read(&same, given[0], "same", 'I') == 0
        && node_column_read(&flags_b, given[2], "flags_b", 'H', same.length) == 0
        && column_read(&flags_a, given[1], "flags_a", 'H') == 0
        && check_each_match(&same, flags_a.length) == 0 && flags_check(skip_flags, "skip_flags") == 0
        && flags_check(mark, "mark") == 0
        && result_new(&marked_a, array_type, 'H', flags_a.length) == 0
        && result_new(&marked_b, array_type, 'H', flags_b.length) == 0) {
        Py_BEGIN_ALLOW_THREADS
        memcpy(marked_a.view.buf, flags_a.data, (size_t)flags_a.length * sizeof(uint16_t));
        memcpy(marked_b.view.buf, flags_b.data, (size_t)flags_b.length * sizeof(uint16_t));
        mark_pairs(same.data, (size_t)same.length, marked_a.view.buf, (size_t)flags_a.length,
                   marked_b.view.buf, (unsigned)skip_flags, (unsigned)mark);
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
