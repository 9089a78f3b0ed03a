/* The walk: depth first over all references, without recursion. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/walk.h"
#include "capture/blocks.h"
#include "capture/edges_objects.h"
#include "capture/equal.h"
#include "capture/finished.h"
#include "capture/plans.h"
#include "capture/prefixes.h"
#include "capture/types.h"
#include "capture/values.h"

static uint32_t
known_references(PyObject *object)
{
    if (compat_is_immortal(object)) {
        return 0;
    }
    return Py_REFCNT(object) >= (Py_ssize_t)MANY_REFERENCES ? MANY_REFERENCES
                                                           : (uint32_t)Py_REFCNT(object);
}

/* Give the object its node, with what its header and its type say. */
static void
begin_node(Capture *capture, uint32_t index, PyObject *object, const Plan *plan)
{
    ITEMS(capture->node_of, uint32_t)[index] = capture->node = capture->node_count++;
    capture->index = index;
    capture->size = plan->fixed_bytes;
    capture->flags = plan->is_own ? FLAG_OWN : 0;
    if (plan->item_bytes != 0) {
        Py_ssize_t length = Py_SIZE(object);
        capture->size += (uint64_t)(length < 0 ? -length : length) * plan->item_bytes;
    }
    if (compat_has_gc_header(object, Py_TYPE(object)) && compat_is_tracked(object)) {
        capture->flags |= FLAG_TRACKED;
    }
    if (compat_is_immortal(object)) {
        capture->flags |= FLAG_IMMORTAL;
    }
}

static void
note_value(Capture *capture, PyObject *object)
{
    uint32_t text = capture->facts.values ? shown_value(capture, object) : 0;
    if (text != 0) {
        uint32_t row[2] = {capture->node, text};
        PUSH_ROW(capture, &capture->values, row);
    }
}

/* Read an object: a node with all that is known of it, and its edges. */
static void
read_object(Capture *capture, uint32_t index)
{
    PyObject *object = (PyObject *)(uintptr_t)ITEMS(capture->address, uint64_t)[index];
    PyTypeObject *type = Py_TYPE(object);
    uint32_t row = type == capture->last_type ? capture->last_row : plan_row(capture, type);
    const Plan *plan = plan_at(capture, row);
    Plan copy; /* reading may add plans and so move them all */
    if (plan->content != NULL || plan->holds_type || plan->memory != NULL) {
        copy = *plan;
        plan = &copy;
    }
    uint64_t first_edge = COUNT(capture->edge_target, uint32_t);
    begin_node(capture, index, object, plan);
    if (plan->holds_type) {
        add_edge(capture, (PyObject *)type, capture->label_class);
    }
    if (plan->content != NULL) {
        plan->content(capture, object, plan);
    }
    if (plan->has_attributes) {
        add_attributes(capture, object, plan);
    }
    if (plan->slot_count != 0) {
        add_slots(capture, object, plan);
    }
    if (plan->is_compared) {
        note_contents(capture, object);
    }
    note_prefix(capture, object, plan);
    if (capture->facts.block_count != 0) {
        note_blocks(capture, object, plan);
    }
    if (plan->finish.kind != NO_TEST && has_finished(&capture->facts, object, &plan->finish)) {
        capture->flags |= FLAG_FINISHED;
    }
    if (plan->memory != NULL) {
        plan->memory(capture, object);
    }
    if (plan->is_measured) {
        capture->failed |= push_u32(&capture->native_owners, index) < 0;
    }
    note_value(capture, object);
    if (is_namespace(capture, index)) {
        capture->flags |= FLAG_NAMESPACE;
    }
    push_narrow(capture, &capture->node_size, &capture->long_sizes, capture->size);
    push_narrow(capture, &capture->edge_count, &capture->long_counts,
                COUNT(capture->edge_target, uint32_t) - first_edge);
    capture->failed |= push_u32(&capture->node_type, row) < 0
                       || push_u16(&capture->node_flags, capture->flags) < 0
                       || push_u32(&capture->node_references, known_references(object)) < 0;
}

#define PROGRESS_MASK ((UINT32_C(1) << 18) - 1)

static inline void
report_progress(Capture *capture)
{
    if ((capture->node_count & PROGRESS_MASK) == 0 && capture->on_progress != NULL) {
        capture->on_progress(capture);
    }
}

#define AHEAD 4 /* edges between an object's prefetch and its turn */

void
capture_walk(Capture *capture, uint32_t start)
{
    if (ITEMS(capture->node_of, uint32_t)[start] != NODE_NONE) {
        return;
    }
    uint64_t edge = COUNT(capture->edge_target, uint32_t), end;
    read_object(capture, start);
    end = COUNT(capture->edge_target, uint32_t);
    capture->stack.size = 0;
    while (!capture->failed) {
        if (edge == end) {
            if (capture->stack.size == 0) {
                return;
            }
            capture->stack.size -= 2 * sizeof(uint64_t);
            const uint64_t *left = (uint64_t *)(capture->stack.data + capture->stack.size);
            edge = left[0];
            end = left[1];
            continue;
        }
        const uint32_t *targets = ITEMS(capture->edge_target, uint32_t);
        if (edge + AHEAD < end) {
            const uint64_t *address = ITEMS(capture->address, uint64_t);
            __builtin_prefetch((char *)(uintptr_t)address[targets[edge + AHEAD]]);
        }
        uint32_t index = targets[edge];
        int weak = label_is_weak(ITEMS(capture->edge_label, uint32_t)[edge]);
        edge++;
        if (weak || ITEMS(capture->node_of, uint32_t)[index] != NODE_NONE) {
            continue;
        }
        uint64_t first = COUNT(capture->edge_target, uint32_t);
        read_object(capture, index);
        report_progress(capture);
        if (COUNT(capture->edge_target, uint32_t) == first) {
            continue;
        }
        if (edge < end) { /* nothing is left behind for a last edge: a long chain takes no stack */
            capture->failed |= push_u64(&capture->stack, edge) < 0
                               || push_u64(&capture->stack, end) < 0;
        }
        edge = first;
        end = COUNT(capture->edge_target, uint32_t);
    }
}

#endif
