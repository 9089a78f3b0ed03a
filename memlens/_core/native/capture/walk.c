/* The walk: depth first over all references, without recursion. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/capture.h"

int
capture_init(Capture *capture, const Facts *facts)
{
    memset(capture, 0, sizeof *capture);
    capture->facts = *facts;
    if (table_init(&capture->table) < 0 || strings_init(&capture->strings) < 0
        || buffer_zeros(&capture->plan_table, 1024 * sizeof(uint32_t)) < 0) {
        return -1;
    }
    capture->plan_mask = 1023;
    Plan process = {.type = NULL, .type_index = NODE_NONE};
    if (buffer_reserve(&capture->plans, sizeof process) < 0) {
        return -1;
    }
    memcpy(capture->plans.data, &process, sizeof process);
    capture->plans.size = sizeof process;
    capture->label_class = text_label(capture, INTERNAL, "__class__");
    capture->label_dict = text_label(capture, INTERNAL, "__dict__");
    capture->label_contents = text_label(capture, INTERNAL, "cell_contents");
    capture->label_callback = text_label(capture, INTERNAL, "__callback__");
    capture->label_string_key = text_label(capture, KEY, "<str>");
    /* Node 0: the process. Its edges, the roots, are put before all others in the end. */
    capture->node_count = 1;
    if (push_u32(&capture->node_type, 0) < 0
        || push_u64(&capture->node_size, 0) < 0 || push_u16(&capture->node_flags, 0) < 0
        || push_u32(&capture->node_references, 0) < 0 || push_u64(&capture->edge_offset, 0) < 0) {
        return -1;
    }
    return capture->failed ? -1 : 0;
}

void
capture_free(Capture *capture)
{
    Buffer *buffers[] = {
        &capture->address, &capture->node_of, &capture->marks, &capture->node_index,
        &capture->node_type, &capture->node_size, &capture->node_flags, &capture->node_references,
        &capture->edge_offset, &capture->edge_target, &capture->edge_label, &capture->plans,
        &capture->plan_table, &capture->fields, &capture->key_labels, &capture->names_rows,
        &capture->lengths, &capture->long_lengths, &capture->bounds, &capture->owner_bounds,
        &capture->values, &capture->text_hashes, &capture->equal_node, &capture->equal_group,
        &capture->frames, &capture->roots, &capture->hidden,
        &capture->hidden_frames, &capture->module_files, &capture->closures, &capture->mentions,
        &capture->relabel, &capture->stack, &capture->scratch, &capture->text,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        buffer_free(buffers[i]);
    }
    table_free(&capture->table);
    strings_free(&capture->strings);
}

uint32_t
text_label(Capture *capture, unsigned kind, const char *name)
{
    size_t place = ((uintptr_t)name ^ (uintptr_t)name >> 8) & 255;
    if (capture->literals[place].text != name) {
        uint32_t number = strings_add_text(&capture->strings, name);
        if (number > MAX_PAYLOAD) {
            capture->failed |= number == UINT32_MAX;
            return label_of(kind, 0);
        }
        capture->literals[place].text = name;
        capture->literals[place].number = number;
    }
    return label_of(kind, capture->literals[place].number);
}

uint32_t
capture_index(Capture *capture, PyObject *object)
{
    uint32_t index;
    if (table_find_or_add(&capture->table, (uint64_t)(uintptr_t)object, capture->index_count, &index)
        < 0) {
        capture->failed = 1;
        return 0;
    }
    if (index != TABLE_NONE) {
        return index;
    }
    if (capture->index_count >= MAX_NODES
        || push_u64(&capture->address, (uint64_t)(uintptr_t)object) < 0
        || push_u32(&capture->node_of, NODE_NONE) < 0 || push_u8(&capture->marks, 0) < 0) {
        capture->failed = 1;
        return 0;
    }
    return capture->index_count++;
}

void
add_length(Capture *capture, uint64_t length, uint64_t bound)
{
    uint32_t shortened = length >= UINT32_MAX ? UINT32_MAX : (uint32_t)length;
    capture->failed |= push_u32(&capture->lengths, capture->node) < 0
                       || push_u32(&capture->lengths, shortened) < 0;
    SparseRow row = {capture->node, length};
    if (shortened == UINT32_MAX) {
        capture->failed |= buffer_reserve(&capture->long_lengths, sizeof row) < 0;
        if (!capture->failed) {
            memcpy(capture->long_lengths.data + capture->long_lengths.size, &row, sizeof row);
            capture->long_lengths.size += sizeof row;
        }
    }
    if (bound != NO_BOUND) {
        row.value = bound;
        capture->failed |= buffer_reserve(&capture->bounds, sizeof row) < 0;
        if (!capture->failed) {
            memcpy(capture->bounds.data + capture->bounds.size, &row, sizeof row);
            capture->bounds.size += sizeof row;
        }
    }
}

void
add_name(Capture *capture, uint32_t text, uint32_t file, uint32_t line)
{
    capture->failed |= push_u32(&capture->names_rows, capture->node) < 0
                       || push_u32(&capture->names_rows, text) < 0
                       || push_u32(&capture->names_rows, file) < 0
                       || push_u32(&capture->names_rows, line) < 0;
}

static uint32_t
known_references(PyObject *object)
{
    if (compat_is_immortal(object)) {
        return 0;
    }
    return Py_REFCNT(object) >= (Py_ssize_t)MANY_REFERENCES ? MANY_REFERENCES
                                                           : (uint32_t)Py_REFCNT(object);
}

/* Give the object its node, and add all that is known of it: columns and edges. */
static void
read_object(Capture *capture, uint32_t index)
{
    PyObject *object = (PyObject *)(uintptr_t)ITEMS(capture->address, uint64_t)[index];
    PyTypeObject *type = Py_TYPE(object);
    uint32_t row = type == capture->last_type ? capture->last_row : plan_row(capture, type);
    const Plan *plan = plan_at(capture, row);
    Plan copy; /* reading may add plans and so move them all */
    if (plan->content != NULL || plan->holds_type) {
        copy = *plan;
        plan = &copy;
    }
    ITEMS(capture->node_of, uint32_t)[index] = capture->node = capture->node_count++;
    capture->index = index;
    capture->size = plan->fixed_bytes;
    capture->flags = plan->is_own ? FLAG_OWN : 0;
    if (plan->item_bytes != 0) {
        Py_ssize_t length = Py_SIZE(object);
        capture->size += (uint64_t)(length < 0 ? -length : length) * plan->item_bytes;
    }
    if (compat_has_gc_header(object, type) && compat_is_tracked(object)) {
        capture->flags |= FLAG_TRACKED;
    }
    if (compat_is_immortal(object)) {
        capture->flags |= FLAG_IMMORTAL;
    }
    capture->failed |= push_u64(&capture->edge_offset, COUNT(capture->edge_target, uint32_t)) < 0;
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
    if (plan->finish_kind != 0 && has_finished(capture, object, plan)) {
        capture->flags |= FLAG_FINISHED;
    }
    if (capture->facts.values) {
        uint32_t text = shown_value(capture, object);
        if (text != 0) {
            capture->failed |= push_u32(&capture->values, capture->node) < 0
                               || push_u32(&capture->values, text) < 0;
        }
    }
    if (is_namespace(capture, index)) {
        capture->flags |= FLAG_NAMESPACE;
    }
    capture->failed |= push_u32(&capture->node_type, row) < 0
                       || push_u64(&capture->node_size, capture->size) < 0
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
        int weak = (ITEMS(capture->edge_label, uint32_t)[edge] & KIND_MASK) == WEAK;
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

int
capture_run(Capture *capture)
{
    find_named_roots(capture);
    size_t root_count = COUNT(capture->roots, Root);
    for (size_t i = 0; i < root_count && !capture->failed; i++) {
        capture_walk(capture, ITEMS(capture->roots, Root)[i].index);
    }
    capture->named_end = capture->node_count;
    if (!capture->failed) {
        walk_collector_lists(capture);
    }
    /* Types, and what only weak references have shown. */
    for (uint32_t index = 0; index < capture->index_count && !capture->failed; index++) {
        capture_walk(capture, index);
    }
    table_free(&capture->table);
    if (!capture->failed) {
        list_indices(capture);
    }
    if (!capture->failed) {
        find_equal(capture);
    }
    if (!capture->failed) {
        number_edges(capture);
        put_names_right(capture);
    }
    if (!capture->failed) {
        find_owner_bounds(capture);
        find_unnamed_roots(capture);
    }
    if (!capture->failed) {
        mark_garbage(capture);
    }
    return capture->failed ? -1 : 0;
}

#endif
