/* Making, filling and freeing the store of a capture. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/store.h"

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
    PUSH_ROW(capture, &capture->plans, process);
    capture->label_class = text_label(capture, INTERNAL, "__class__");
    capture->label_dict = text_label(capture, INTERNAL, "__dict__");
    capture->label_contents = text_label(capture, INTERNAL, "cell_contents");
    capture->label_callback = text_label(capture, INTERNAL, "__callback__");
    capture->label_string_key = text_label(capture, KEY, "<str>");
    /* Node 0: the process. Its edges, the roots, are put before all others in the end. */
    capture->node_count = 1;
    if (push_u32(&capture->node_type, 0) < 0
        || push_u32(&capture->node_size, 0) < 0 || push_u16(&capture->node_flags, 0) < 0
        || push_u32(&capture->node_references, 0) < 0 || push_u32(&capture->edge_count, 0) < 0) {
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
        &capture->edge_count, &capture->edge_offset, &capture->edge_target, &capture->edge_label, &capture->plans,
        &capture->plan_table, &capture->fields, &capture->key_labels, &capture->names_rows,
        &capture->lengths, &capture->long_lengths, &capture->long_sizes, &capture->long_counts, &capture->bounds,
        &capture->owner_bounds,
        &capture->values, &capture->text_hashes, &capture->long_texts,
        &capture->equal_node, &capture->equal_group,
        &capture->prefix_node, &capture->prefix_hash, &capture->block_node, &capture->block_address,
        &capture->native_rows, &capture->native_owners, &capture->native_edges,
        &capture->native_node, &capture->native_device, &capture->native_library,
        &capture->resident_node, &capture->resident_bytes, &capture->native_notes,
        &capture->frames, &capture->roots, &capture->hidden, &capture->borrowed,
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
string_of(Capture *capture, PyObject *text)
{
    uint32_t number = strings_add_object(&capture->strings, text);
    capture->failed |= number == UINT32_MAX;
    return number;
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
        || push_u32(&capture->node_of, NODE_NONE) < 0
        || ((capture->index_count & 7) == 0 && push_u8(&capture->marks, 0) < 0)) {
        capture->failed = 1;
        return 0;
    }
    return capture->index_count++;
}

void
add_length(Capture *capture, uint64_t length, uint64_t bound)
{
    uint32_t shortened = length >= UINT32_MAX ? UINT32_MAX : (uint32_t)length;
    LengthRow row = {capture->node, shortened};
    SparseRow long_row = {capture->node, length}, bound_row = {capture->node, bound};
    PUSH_ROW(capture, &capture->lengths, row);
    if (shortened == UINT32_MAX) {
        PUSH_ROW(capture, &capture->long_lengths, long_row);
    }
    if (bound != NO_BOUND) {
        PUSH_ROW(capture, &capture->bounds, bound_row);
    }
}

void
push_narrow(Capture *capture, Buffer *column, Buffer *beyond, uint64_t value)
{
    SparseRow row = {capture->node, value};
    capture->failed |= push_u32(column, value >= UINT32_MAX ? UINT32_MAX : (uint32_t)value) < 0;
    if (value >= UINT32_MAX) {
        PUSH_ROW(capture, beyond, row);
    }
}

void
add_native(Capture *capture, uint32_t owner, int origin, const void *address, uint64_t bytes,
           const char *device, const char *library)
{
    NativeRow row = {
        .address = (uint64_t)(uintptr_t)address,
        .bytes = bytes,
        .owner = owner,
        .origin = (uint32_t)origin,
        .device = text_label(capture, INTERNAL, device) >> LABEL_BITS,
        .library = text_label(capture, INTERNAL, library) >> LABEL_BITS,
    };
    PUSH_ROW(capture, &capture->native_rows, row);
}

void
add_name(Capture *capture, uint32_t text, uint32_t file, uint32_t line)
{
    NameRow row = {capture->node, text, file, line};
    PUSH_ROW(capture, &capture->names_rows, row);
}

void
add_root(Capture *capture, PyObject *object, int kind, uint32_t name, uint32_t frame, int counted)
{
    if (object != NULL) {
        Root root = {capture_index(capture, object), name, frame, (uint8_t)kind, (uint8_t)counted};
        PUSH_ROW(capture, &capture->roots, root);
    }
}

void
note_namespace(Capture *capture, PyObject *dict)
{
    if (dict == NULL || !PyDict_Check(dict)) {
        return;
    }
    uint32_t index = capture_index(capture, dict);
    if (capture->failed || is_namespace(capture, index)) {
        return;
    }
    mark_namespace(capture, index);
    if (ITEMS(capture->node_of, uint32_t)[index] != NODE_NONE) {
        /* Its edges are there already, with keys for names. */
        capture->failed |= push_u32(&capture->relabel, index) < 0;
    }
}

int
frame_is_hidden(const Capture *capture, PyObject *frame)
{
    PyObject **hidden = ITEMS(capture->hidden_frames, PyObject *);
    for (size_t i = 0; i < COUNT(capture->hidden_frames, PyObject *); i++) {
        if (hidden[i] == frame) {
            return 1;
        }
    }
    return 0;
}

#endif
