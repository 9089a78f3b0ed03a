/* Which of the sampled memory blocks are the buffers of which objects.
 *
 * The sampler knows blocks, and an object may own several: its own, the items of a list, the table of
 * a dict. The blocks are few (thousands) and the objects many, so each buffer is first looked up in a
 * bitmap of the blocks, and nearly always that is the end of it. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/blocks.h"
#include "base/structures.h"
#include "base/text.h"
#include "capture/edges_dicts.h"
#include "capture/edges_sequences.h"
#include "capture/edges_stdlib.h"

static inline size_t
filter_bit(uint64_t address)
{
    return (address >> 4 ^ address >> 20) % BLOCK_FILTER_BITS;
}

static uint64_t
block_at(const Facts *facts, size_t position)
{
    uint64_t address; /* the bytes of the caller may lie anywhere */
    memcpy(&address, facts->blocks + position * sizeof address, sizeof address);
    return address;
}

void
prepare_blocks(Capture *capture)
{
    for (size_t i = 0; i < capture->facts.block_count; i++) {
        size_t bit = filter_bit(block_at(&capture->facts, i));
        capture->block_filter[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
}

static int
is_sampled(const Capture *capture, uint64_t address)
{
    size_t bit = filter_bit(address), low = 0, high = capture->facts.block_count;
    if (!(capture->block_filter[bit / 8] & 1 << bit % 8)) {
        return 0;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (block_at(&capture->facts, middle) < address) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low < capture->facts.block_count && block_at(&capture->facts, low) == address;
}

static void
note_block(Capture *capture, const void *block)
{
    uint64_t address = (uint64_t)(uintptr_t)block;
    if (block != NULL && is_sampled(capture, address)) {
        capture->failed |= push_u32(&capture->block_node, capture->node) < 0
                           || push_u64(&capture->block_address, address) < 0;
    }
}

static void
note_dict(Capture *capture, PyDictObject *dict)
{
    if (dict->ma_keys == NULL || compat_values_are_inline(dict)) {
        return;
    }
    if (dict->ma_values == NULL) {
        note_block(capture, dict->ma_keys);
    }
    else {
        note_block(capture, compat_values_block(dict->ma_values));
    }
}

static void
note_deque(Capture *capture, Deque *deque)
{
    DequeBlock *block = deque->leftblock;
    while (block != NULL) {
        note_block(capture, block);
        block = block == deque->rightblock ? NULL : block->right;
    }
}

static void
note_text(Capture *capture, PyObject *object)
{
    PyASCIIObject *text = (PyASCIIObject *)object;
    PyCompactUnicodeObject *wide = (PyCompactUnicodeObject *)object;
    const void *characters = NULL;
    if (text->state.compact && text->state.ascii) {
        return;
    }
    if (!text->state.compact) {
        characters = ((PyUnicodeObject *)object)->data.any;
        note_block(capture, characters);
    }
    if ((const void *)wide->utf8 != characters) {
        note_block(capture, wide->utf8);
    }
}

void
note_blocks(Capture *capture, PyObject *object, const Plan *plan)
{
    if (PyUnicode_CheckExact(object)) {
        note_text(capture, object);
    }
    else if (PyList_Check(object)) {
        note_block(capture, ((PyListObject *)object)->ob_item);
    }
    else if (compat_is_dict(object)) {
        note_dict(capture, (PyDictObject *)object);
    }
    else if (PyByteArray_Check(object)) {
        note_block(capture, compat_bytearray_block(object));
    }
    else if (PyAnySet_Check(object)) {
        PySetObject *set = (PySetObject *)object;
        note_block(capture, set->table == set->smalltable ? NULL : set->table);
    }
    else if (plan->known_content == deque_content) {
        note_deque(capture, (Deque *)object);
    }
    else if (plan->known_content == plain_array_content) {
        note_block(capture, ((PlainArray *)object)->items);
    }
    if (plan->has_attributes) {
        note_block(capture, compat_attributes_block(object, plan->type));
    }
}

#endif
