/* The strings of a capture, each stored once. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "base/strings.h"
#include "base/text.h"

#define FIRST_NUMBERS 4096u

typedef struct {
    PyObject *object;
    uint32_t number;
} Known;

static uint64_t
hash_bytes(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ (hash >> 32);
}

static inline uint64_t
hash_address(const void *address)
{
    uint64_t key = (uint64_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15);
    return key ^ (key >> 29);
}

int
strings_init(StringTable *strings)
{
    memset(strings, 0, sizeof *strings);
    strings->number_mask = strings->object_mask = FIRST_NUMBERS - 1;
    if (buffer_zeros(&strings->numbers, FIRST_NUMBERS * sizeof(uint32_t)) < 0
        || buffer_zeros(&strings->objects, FIRST_NUMBERS * sizeof(Known)) < 0
        || push_u64(&strings->offsets, 0) < 0
        || strings_add(strings, "", 0) == UINT32_MAX) {
        strings_free(strings);
        return -1;
    }
    return 0;
}

void
strings_free(StringTable *strings)
{
    buffer_free(&strings->bytes);
    buffer_free(&strings->offsets);
    buffer_free(&strings->numbers);
    buffer_free(&strings->objects);
}

static const char *
string_at(const StringTable *strings, uint32_t number, size_t *length)
{
    const uint64_t *offset = (const uint64_t *)strings->offsets.data;
    *length = offset[number + 1] - offset[number];
    return strings->bytes.data + offset[number];
}

static int
grow_numbers(StringTable *strings)
{
    uint64_t size = 2 * (strings->number_mask + 1);
    Buffer larger = {NULL, 0, 0};
    if (buffer_zeros(&larger, size * sizeof(uint32_t)) < 0) {
        return -1;
    }
    buffer_free(&strings->numbers);
    strings->numbers = larger;
    strings->number_mask = size - 1;
    uint32_t *numbers = (uint32_t *)strings->numbers.data;
    for (uint32_t number = 0; number < strings->count; number++) {
        size_t length;
        const char *text = string_at(strings, number, &length);
        uint64_t place = hash_bytes(text, length) & strings->number_mask;
        while (numbers[place] != 0) {
            place = (place + 1) & strings->number_mask;
        }
        numbers[place] = number + 1;
    }
    return 0;
}

/* Forget the bytes that were to become a string: there is no memory for it. */
static uint32_t
refuse_candidate(StringTable *strings, size_t start)
{
    strings->bytes.size = start;
    strings->failed = 1;
    return UINT32_MAX;
}

/* Number the bytes behind the used part of `bytes`, where the caller has put them. */
static uint32_t
number_candidate(StringTable *strings, size_t start)
{
    size_t length = strings->bytes.size - start, there;
    /* Before the table is searched: it never fills up, also when it cannot grow. */
    if (2 * ((uint64_t)strings->count + 1) > strings->number_mask && grow_numbers(strings) < 0) {
        return refuse_candidate(strings, start);
    }
    const char *text = strings->bytes.data + start;
    uint32_t *numbers = (uint32_t *)strings->numbers.data;
    uint64_t place = hash_bytes(text, length) & strings->number_mask;
    for (; numbers[place] != 0; place = (place + 1) & strings->number_mask) {
        const char *known = string_at(strings, numbers[place] - 1, &there);
        if (there == length && memcmp(known, text, length) == 0) {
            strings->bytes.size = start;
            return numbers[place] - 1;
        }
    }
    if (push_u64(&strings->offsets, strings->bytes.size) < 0) {
        return refuse_candidate(strings, start);
    }
    numbers[place] = ++strings->count;
    return strings->count - 1;
}

uint32_t
strings_add(StringTable *strings, const char *text, size_t length)
{
    size_t start = strings->bytes.size;
    if (buffer_reserve(&strings->bytes, length + 1) < 0) {
        return refuse_candidate(strings, start);
    }
    memcpy(strings->bytes.data + start, text, length);
    strings->bytes.size += length;
    return number_candidate(strings, start);
}

uint32_t
strings_add_text(StringTable *strings, const char *text)
{
    return strings_add(strings, text, strlen(text));
}

static int
grow_objects(StringTable *strings)
{
    Buffer old = strings->objects;
    uint64_t old_size = strings->object_mask + 1;
    strings->objects = (Buffer){NULL, 0, 0};
    if (buffer_zeros(&strings->objects, 2 * old_size * sizeof(Known)) < 0) {
        strings->objects = old;
        return -1;
    }
    strings->object_mask = 2 * old_size - 1;
    Known *known = (Known *)strings->objects.data;
    for (uint64_t i = 0; i < old_size; i++) {
        Known one = ((Known *)old.data)[i];
        if (one.object != NULL) {
            uint64_t place = hash_address(one.object) & strings->object_mask;
            while (known[place].object != NULL) {
                place = (place + 1) & strings->object_mask;
            }
            known[place] = one;
        }
    }
    buffer_free(&old);
    return 0;
}

uint32_t
strings_add_object(StringTable *strings, PyObject *text)
{
    if (!text_is_readable(text)) {
        return 0;
    }
    if (2 * (strings->object_count + 1) > strings->object_mask && grow_objects(strings) < 0) {
        strings->failed = 1;
        return UINT32_MAX;
    }
    Known *known = (Known *)strings->objects.data;
    uint64_t place = hash_address(text) & strings->object_mask;
    for (; known[place].object != NULL; place = (place + 1) & strings->object_mask) {
        if (known[place].object == text) {
            return known[place].number;
        }
    }
    size_t start = strings->bytes.size;
    if (append_utf8(&strings->bytes, text) < 0) {
        return refuse_candidate(strings, start);
    }
    uint32_t number = number_candidate(strings, start);
    if (number != UINT32_MAX) {
        known[place] = (Known){text, number};
        strings->object_count++;
    }
    return number;
}

#endif
