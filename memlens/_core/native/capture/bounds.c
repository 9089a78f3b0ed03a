/* The cap that the owner of a container states: `self.maxsize = 100` beside `self.data`.
 *
 * A cap is an attribute with one of the names below and a positive int as its value. It is used
 * only if the container is not longer than it. Of several such caps the smallest is used. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/bounds.h"

/* Without leading underscores, and without the class of a private name such as
 * `_Cache__maxsize`. */
static const char *const cap_names[] = {
    "maxsize", "max_size", "maxlen", "max_len", "max_length", "capacity", "max_capacity",
    "max_entries", "max_items", "max_keys", "cache_size", "cachesize", "max_cache_size", "limit",
    "size_limit", "max_elements",
};

enum { LONGEST_CAP_NAME = 14, IS_CAP = 1, IS_OF_OTHERS = 2 };

typedef struct {
    Capture *capture;
    Buffer kind; /* u8, by string: IS_CAP, or a name that only modules and classes have */
} Caps;

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static int
equals_lowered(const char *text, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++) {
        if (lower(text[i]) != name[i]) {
            return 0;
        }
    }
    return name[length] == '\0';
}

static int
is_cap_name(const char *text, size_t length)
{
    const char *begin = text, *end = text + length;
    for (const char *at = text; at + 1 < end; at++) {
        if (at[0] == '_' && at[1] == '_') {
            begin = at + 2;
        }
    }
    while (begin < end && *begin == '_') {
        begin++;
    }
    length = (size_t)(end - begin);
    for (size_t i = 0; i < sizeof cap_names / sizeof cap_names[0] && length <= LONGEST_CAP_NAME; i++) {
        if (equals_lowered(begin, length, cap_names[i])) {
            return 1;
        }
    }
    return 0;
}

/* Returns how many names of caps there are. */
static uint32_t
sort_names(Caps *caps)
{
    StringTable *strings = &caps->capture->strings;
    const uint64_t *offset = ITEMS(strings->offsets, uint64_t);
    uint32_t found = 0;
    if (buffer_zeros(&caps->kind, strings->count) < 0) {
        caps->capture->failed = 1;
        return 0;
    }
    for (uint32_t number = 1; number < strings->count; number++) {
        const char *text = strings->bytes.data + offset[number];
        size_t length = (size_t)(offset[number + 1] - offset[number]);
        if ((length == 8 && memcmp(text, "__spec__", 8) == 0)
            || (length == 10 && memcmp(text, "__module__", 10) == 0)
            || (length == 12 && memcmp(text, "__builtins__", 12) == 0)) {
            ITEMS(caps->kind, uint8_t)[number] = IS_OF_OTHERS;
        }
        else if (length >= 5 && is_cap_name(text, length)) {
            ITEMS(caps->kind, uint8_t)[number] = IS_CAP;
            found++;
        }
    }
    return found;
}

/* What an attribute's name is: IS_CAP, IS_OF_OTHERS, or 0; 0 for what is no attribute. */
static int
kind_of_label(const Caps *caps, uint32_t label)
{
    uint32_t number = label >> LABEL_BITS;
    return (label & KIND_MASK) == ATTRIBUTE && number < caps->kind.size
               ? ITEMS(caps->kind, uint8_t)[number]
               : 0;
}

/* The row of a container among the lengths, which are in the order of nodes; SIZE_MAX: none. */
static size_t
length_row(const Capture *capture, uint32_t node)
{
    const LengthRow *rows = ITEMS(capture->lengths, LengthRow);
    size_t low = 0, high = COUNT(capture->lengths, LengthRow);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows[middle].node < node) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low < COUNT(capture->lengths, LengthRow) && rows[low].node == node ? low : SIZE_MAX;
}

static void
bound_container(Capture *capture, uint32_t node, uint64_t cap)
{
    size_t row = length_row(capture, node);
    if (row == SIZE_MAX || ITEMS(capture->lengths, LengthRow)[row].length > cap) {
        return;
    }
    uint64_t *bound = ITEMS(capture->owner_bounds, uint64_t) + row;
    if (*bound == 0 || cap < *bound) {
        *bound = cap;
    }
}

/* Apply the caps among the attributes of `source`: an instance, or the `__dict__` of `owner`. */
static void
apply_caps(const Caps *caps, uint32_t source, uint32_t owner)
{
    Capture *capture = caps->capture;
    const uint32_t *label = ITEMS(capture->edge_label, uint32_t);
    const uint32_t *target = ITEMS(capture->edge_target, uint32_t);
    uint64_t begin = ITEMS(capture->edge_offset, uint64_t)[source], end = edges_end(capture, source);
    PyObject *object = object_of_node(capture, source);
    if (PyType_Check(object) || PyModule_CheckExact(object)) {
        return;
    }
    for (uint64_t edge = begin; edge < end; edge++) {
        if (kind_of_label(caps, label[edge]) == IS_OF_OTHERS) {
            return;
        }
    }
    for (uint64_t edge = begin; edge < end; edge++) {
        uint64_t cap = kind_of_label(caps, label[edge]) == IS_CAP
                           ? compat_small_positive(object_of_node(capture, target[edge]))
                           : 0;
        if (cap == 0) {
            continue;
        }
        if (owner != source || !PyDict_CheckExact(object)) {
            bound_container(capture, owner, cap);
        }
        for (uint64_t beside = begin; beside < end && owner == source; beside++) {
            if ((label[beside] & KIND_MASK) == ATTRIBUTE) {
                bound_container(capture, target[beside], cap);
            }
        }
    }
}

void
find_owner_bounds(Capture *capture)
{
    Caps caps = {.capture = capture};
    size_t bytes = COUNT(capture->lengths, LengthRow) * sizeof(uint64_t);
    if (sort_names(&caps) != 0 && bytes != 0 && buffer_zeros(&capture->owner_bounds, bytes) < 0) {
        capture->failed = 1;
    }
    const uint32_t *label = ITEMS(capture->edge_label, uint32_t);
    const LengthRow *rows = ITEMS(capture->lengths, LengthRow);
    size_t row = 0, row_count = COUNT(capture->lengths, LengthRow);
    for (uint32_t node = 1; node < capture->node_count && capture->owner_bounds.size != 0; node++) {
        uint64_t edge = ITEMS(capture->edge_offset, uint64_t)[node], end = edges_end(capture, node);
        int has_cap = 0;
        while (row < row_count && rows[row].node < node) {
            row++;
        }
        for (; edge < end; edge++) {
            if (label[edge] == capture->label_dict && row < row_count && rows[row].node == node) {
                apply_caps(&caps, ITEMS(capture->edge_target, uint32_t)[edge], node);
            }
            has_cap |= kind_of_label(&caps, label[edge]) == IS_CAP;
        }
        if (has_cap) {
            apply_caps(&caps, node, node);
        }
    }
    buffer_free(&caps.kind);
}

#endif
