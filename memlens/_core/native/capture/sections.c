/* From a finished capture to the sections of memlens/_core/layout.py. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/sections.h"

static int
put_roots_first(Capture *capture)
{
    size_t count = COUNT(capture->roots, Root), bytes = count * sizeof(uint32_t);
    Buffer *target = &capture->edge_target, *label = &capture->edge_label;
    if (buffer_reserve(target, bytes + 1) < 0 || buffer_reserve(label, bytes + 1) < 0) {
        return -1;
    }
    memmove(target->data + bytes, target->data, target->size);
    memmove(label->data + bytes, label->data, label->size);
    target->size += bytes;
    label->size += bytes;
    for (size_t i = 0; i < count; i++) {
        const Root *root = ITEMS(capture->roots, Root) + i;
        ((uint32_t *)target->data)[i] = ITEMS(capture->node_of, uint32_t)[root->index];
        ((uint32_t *)label->data)[i] = label_of(INTERNAL, 0);
    }
    uint64_t *offset = ITEMS(capture->edge_offset, uint64_t);
    for (uint32_t node = 1; node < capture->node_count; node++) {
        offset[node] += count;
    }
    offset[0] = 0;
    return push_u64(&capture->edge_offset, target->size / sizeof(uint32_t));
}

/* Frees what was needed before, or two more columns would be there at a time of many others. */
static int
take_addresses(Capture *capture, Buffer *out)
{
    buffer_free(&capture->node_of);
    buffer_free(&capture->node_references);
    if (buffer_zeros(out, capture->node_count * sizeof(uint64_t)) < 0) {
        return -1;
    }
    for (uint32_t node = 1; node < capture->node_count; node++) {
        ITEMS(*out, uint64_t)[node]
            = ITEMS(capture->address, uint64_t)[ITEMS(capture->node_index, uint32_t)[node]];
    }
    buffer_free(&capture->address);
    buffer_free(&capture->node_index);
    return 0;
}

static int
take_roots(Capture *capture, Buffer *sections)
{
    for (size_t i = 0; i < COUNT(capture->roots, Root); i++) {
        const Root *root = ITEMS(capture->roots, Root) + i;
        uint32_t node = ITEMS(capture->node_of, uint32_t)[root->index];
        uint64_t count = root->kind == ROOT_EXTERNAL ? ITEMS(capture->node_references, uint32_t)[node]
                                                     : 0;
        if (push_u8(&sections[ROOT_KIND], root->kind) < 0
            || push_u32(&sections[ROOT_NAME], root->name) < 0
            || push_u64(&sections[ROOT_COUNT], count) < 0
            || push_u32(&sections[ROOT_FRAME_ROW], root->frame) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
take_types(Capture *capture, Buffer *sections)
{
    for (size_t row = 0; row < COUNT(capture->plans, Plan); row++) {
        const Plan *plan = plan_at(capture, (uint32_t)row);
        uint32_t node = plan->type_index == NODE_NONE
                            ? NODE_NONE
                            : ITEMS(capture->node_of, uint32_t)[plan->type_index];
        if (push_u32(&sections[TYPE_NAME], plan->name) < 0
            || push_u32(&sections[TYPE_NODE], node) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
take_frames(Capture *capture, Buffer *sections)
{
    for (size_t i = 0; i < COUNT(capture->frames, FrameRow); i++) {
        const FrameRow *row = ITEMS(capture->frames, FrameRow) + i;
        if (push_u64(&sections[FRAME_THREAD], row->thread) < 0
            || push_u32(&sections[FRAME_FUNCTION], row->function) < 0
            || push_u32(&sections[FRAME_FILE], row->file) < 0
            || push_u32(&sections[FRAME_LINE], row->line) < 0
            || push_u32(&sections[FRAME_DEPTH], row->depth) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
take_sizes(Capture *capture, Buffer *out)
{
    size_t at_long = 0;
    if (buffer_zeros(out, capture->node_count * sizeof(uint64_t)) < 0) {
        return -1;
    }
    for (uint32_t node = 0; node < capture->node_count; node++) {
        ITEMS(*out, uint64_t)[node]
            = sparse_value(&capture->long_sizes, &at_long, node,
                           ITEMS(capture->node_size, uint32_t)[node]);
    }
    buffer_free(&capture->node_size);
    return 0;
}

static int
take_containers(Capture *capture, Buffer *sections)
{
    size_t at_long = 0, at_bound = 0;
    for (size_t i = 0; i < COUNT(capture->lengths, LengthRow); i++) {
        const LengthRow *row = ITEMS(capture->lengths, LengthRow) + i;
        uint64_t length = sparse_value(&capture->long_lengths, &at_long, row->node, row->length);
        uint64_t bound = sparse_value(&capture->bounds, &at_bound, row->node, NO_BOUND);
        if (bound == NO_BOUND && capture->owner_bounds.size != 0
            && ITEMS(capture->owner_bounds, uint64_t)[i] != 0) {
            bound = ITEMS(capture->owner_bounds, uint64_t)[i];
        }
        if (push_u32(&sections[CONTAINER_NODE], row->node) < 0
            || push_u64(&sections[CONTAINER_LENGTH], length) < 0
            || push_u64(&sections[CONTAINER_BOUND], bound) < 0) {
            return -1;
        }
    }
    buffer_free(&capture->lengths);
    return 0;
}

static int
take_names(Capture *capture, Buffer *sections)
{
    for (size_t i = 0; i < COUNT(capture->names_rows, NameRow); i++) {
        const NameRow *row = ITEMS(capture->names_rows, NameRow) + i;
        if (push_u32(&sections[NAME_NODE], row->node) < 0
            || push_u32(&sections[NAME_TEXT], row->text) < 0
            || push_u32(&sections[NAME_FILE], row->file) < 0
            || push_u32(&sections[NAME_LINE], row->line) < 0) {
            return -1;
        }
    }
    const uint32_t *value = ITEMS(capture->values, uint32_t);
    for (size_t i = 0; i + 1 < COUNT(capture->values, uint32_t); i += 2) {
        if (push_u32(&sections[VALUE_NODE], value[i]) < 0
            || push_u32(&sections[VALUE_TEXT], value[i + 1]) < 0) {
            return -1;
        }
    }
    return 0;
}

static void
move(Buffer *to, Buffer *from)
{
    *to = *from;
    *from = (Buffer){NULL, 0, 0};
}

int
take_sections(Capture *capture, Buffer *sections)
{
    memset(sections, 0, SECTION_COUNT * sizeof *sections);
    buffer_free(&capture->marks);
    buffer_free(&capture->stack);
    if (take_roots(capture, sections) < 0 || put_roots_first(capture) < 0
        || take_types(capture, sections) < 0 || take_frames(capture, sections) < 0
        || take_names(capture, sections) < 0 || take_addresses(capture, &sections[NODE_ADDRESS]) < 0
        || take_sizes(capture, &sections[NODE_SIZE]) < 0 || take_containers(capture, sections) < 0) {
        free_sections(sections);
        return -1;
    }
    move(&sections[NODE_TYPE], &capture->node_type);
    move(&sections[NODE_FLAGS], &capture->node_flags);
    move(&sections[EDGE_OFFSET], &capture->edge_offset);
    move(&sections[EDGE_TARGET], &capture->edge_target);
    move(&sections[EDGE_LABEL], &capture->edge_label);
    move(&sections[STRING_OFFSET], &capture->strings.offsets);
    move(&sections[STRING_BYTES], &capture->strings.bytes);
    move(&sections[EQUAL_NODE], &capture->equal_node);
    move(&sections[EQUAL_GROUP], &capture->equal_group);
    move(&sections[PREFIX_NODE], &capture->prefix_node);
    move(&sections[PREFIX_HASH], &capture->prefix_hash);
    move(&sections[BLOCK_NODE], &capture->block_node);
    move(&sections[BLOCK_ADDRESS], &capture->block_address);
    move(&sections[NATIVE_NODE], &capture->native_node);
    move(&sections[NATIVE_DEVICE], &capture->native_device);
    move(&sections[NATIVE_LIBRARY], &capture->native_library);
    move(&sections[RESIDENT_NODE], &capture->resident_node);
    move(&sections[RESIDENT_BYTES], &capture->resident_bytes);
    move(&sections[NATIVE_NOTES], &capture->native_notes);
    return 0;
}

void
free_sections(Buffer *sections)
{
    for (int i = 0; i < SECTION_COUNT; i++) {
        buffer_free(&sections[i]);
    }
}

Graph
sections_graph(const Buffer *sections)
{
    return (Graph){
        .node_count = (uint32_t)(sections[NODE_SIZE].size / sizeof(uint64_t)),
        .edge_count = sections[EDGE_TARGET].size / sizeof(uint32_t),
        .offset = ITEMS(sections[EDGE_OFFSET], uint64_t),
        .target = ITEMS(sections[EDGE_TARGET], uint32_t),
        .label = ITEMS(sections[EDGE_LABEL], uint32_t),
    };
}

#endif
