/* What lists, tuples and sets hold. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_sequences.h"

static void
add_items(Capture *capture, PyObject **items, Py_ssize_t count)
{
    if (count > 0
        && (buffer_reserve(&capture->edge_target, (size_t)count * sizeof(uint32_t)) < 0
            || buffer_reserve(&capture->edge_label, (size_t)count * sizeof(uint32_t)) < 0)) {
        capture->failed = 1;
        return;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (items[i] != NULL) { /* C code may be filling it */
            add_edge(capture, items[i], index_label(i));
        }
    }
}

void
list_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyListObject *list = (PyListObject *)object;
    (void)plan;
    if (list->allocated > 0) { /* -1 while it is being sorted: sort() keeps its items meanwhile */
        capture->size += (uint64_t)list->allocated * sizeof(PyObject *);
    }
    add_length(capture, (uint64_t)Py_SIZE(list), NO_BOUND);
    add_items(capture, list->ob_item, Py_SIZE(list));
}

void
tuple_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyTupleObject *tuple = (PyTupleObject *)object;
    (void)plan;
    add_length(capture, (uint64_t)Py_SIZE(tuple), NO_BOUND);
    add_items(capture, tuple->ob_item, Py_SIZE(tuple));
}

void
set_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PySetObject *set = (PySetObject *)object;
    (void)plan;
    if (set->table != set->smalltable) {
        capture->size += (uint64_t)(set->mask + 1) * sizeof(setentry);
    }
    add_length(capture, (uint64_t)set->used, NO_BOUND);
    for (Py_ssize_t i = 0; i <= set->mask && set->table != NULL; i++) {
        setentry *entry = &set->table[i];
        if (entry->key != NULL && entry->hash != -1) { /* -1: the mark of a deleted entry */
            add_edge(capture, entry->key, label_of(ITEM, 0));
        }
    }
}

#endif
