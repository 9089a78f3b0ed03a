/* match_nodes, mark_matched and grown_rows: what two heaps have in common, as Python calls them. */
#include "graph/columns.h"
#include "graph/counts.h"
#include "graph/module.h"
#include "graph/reach.h"
#include "graph/results.h"

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
graph_match_nodes(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"address_a", "key_a", "address_b", "key_b", NULL};
    PyObject *given[4], *found = NULL;
    Column columns[4] = {NO_COLUMN};
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

/* What `same` names, checked to lie in heap a, which has `count` nodes. */
static int
check_highest_match(const Column *same, Py_ssize_t count)
{
    const uint32_t *matched = same->data;
    int64_t highest = -1;
    for (Py_ssize_t node = 0; node < same->length; node++) {
        if (matched[node] != NODE_NONE && matched[node] > highest) {
            highest = matched[node];
        }
    }
    if (highest >= count) {
        PyErr_Format(PyExc_ValueError, "same names node %lld of only %zd nodes", (long long)highest,
                     count);
        return -1;
    }
    return 0;
}

PyObject *
graph_grown_rows(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"edge_offset_a", "edge_offset_b", "same", NULL};
    PyObject *given[3], *array = NULL;
    Column before = NO_COLUMN, after = NO_COLUMN, same = NO_COLUMN;
    Buffer found = {NULL, 0, 0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:grown_rows", names, &given[0], &given[1],
                                     &given[2])) {
        return NULL;
    }
    if (column_read(&before, given[0], "edge_offset_a", 'Q') == 0
        && column_read(&after, given[1], "edge_offset_b", 'Q') == 0
        && column_read(&same, given[2], "same", 'I') == 0) {
        if (after.length != same.length + 1) {
            PyErr_Format(PyExc_ValueError, "edge_offset_b has %zd entries for %zd nodes",
                         after.length, same.length);
        }
        else if (same.length >= (Py_ssize_t)NODE_NONE) {
            PyErr_SetString(PyExc_ValueError, "same has more nodes than 32 bits can number");
        }
        else if (check_highest_match(&same, before.length - 1) == 0) {
            int failed;
            Py_BEGIN_ALLOW_THREADS
            failed = find_grown(before.data, after.data, same.data, (size_t)same.length, &found) < 0;
            Py_END_ALLOW_THREADS
            array = result_of_numbers(module_state(module)->array_type, &found, failed);
        }
    }
    column_release(&before);
    column_release(&after);
    column_release(&same);
    return array;
}
