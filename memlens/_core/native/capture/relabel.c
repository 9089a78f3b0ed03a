/* Labels that are known only after the edges are there. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/relabel.h"
#include "capture/edges_dicts.h"

static uint32_t *
labels_of(Capture *capture, uint32_t node, uint64_t *count)
{
    uint64_t begin = ITEMS(capture->edge_offset, uint64_t)[node];
    *count = edges_end(capture, node) - begin;
    return ITEMS(capture->edge_label, uint32_t) + begin;
}

static void
name_cells(Capture *capture, uint32_t node, PyCodeObject *code)
{
    uint64_t count;
    uint32_t *label = labels_of(capture, node, &count);
    int free_count = compat_code_free_count(code), first = compat_code_first_free(code);
    for (int i = 0; i < free_count && count == (uint64_t)free_count; i++) {
        label[i] = named_label(capture, CELL, compat_local_name(code, first + i));
    }
}

/* Each name that code uses becomes the label of its own edge, so that the code can be found by
 * name. */
static void
name_mentions(Capture *capture, uint32_t index)
{
    PyObject *names = object_at(capture, index);
    uint64_t count;
    uint32_t *label = labels_of(capture, ITEMS(capture->node_of, uint32_t)[index], &count);
    for (uint64_t i = 0; i < count && count == (uint64_t)PyTuple_GET_SIZE(names); i++) {
        label[i] = named_label(capture, INTERNAL, PyTuple_GET_ITEM(names, i));
    }
}

/* A dict that turned out to be a namespace after its edges were there. */
static void
relabel_namespace(Capture *capture, uint32_t index)
{
    uint32_t node = ITEMS(capture->node_of, uint32_t)[index];
    PyObject *dict = object_at(capture, index);
    uint64_t count;
    uint32_t *label = labels_of(capture, node, &count);
    /* A subclass's edges begin with its class. */
    relabel_dict(capture, dict, label + (Py_TYPE(dict)->tp_flags & Py_TPFLAGS_HEAPTYPE ? 1 : 0));
    ITEMS(capture->node_flags, uint16_t)[node] |= FLAG_NAMESPACE;
}

void
put_names_right(Capture *capture)
{
    for (size_t i = 0; i < COUNT(capture->relabel, uint32_t); i++) {
        relabel_namespace(capture, ITEMS(capture->relabel, uint32_t)[i]);
    }
    for (size_t i = 0; i < COUNT(capture->mentions, uint32_t); i++) {
        name_mentions(capture, ITEMS(capture->mentions, uint32_t)[i]);
    }
    const uint64_t *closure = ITEMS(capture->closures, uint64_t);
    for (size_t i = 0; i + 1 < COUNT(capture->closures, uint64_t); i += 2) {
        uint32_t node = ITEMS(capture->node_of, uint32_t)[closure[i]];
        name_cells(capture, node, (PyCodeObject *)(uintptr_t)closure[i + 1]);
    }
}

#endif
