/* Names of functions and files, copied as UTF-8 and interned: no interpreter object is kept.
 *
 * String 0 is "", string 1 stands for names that found no room. The caller holds the lock. */

#ifndef MEMLENS_SAMPLER_STRINGS_H
#define MEMLENS_SAMPLER_STRINGS_H

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "frames.h"
#include "index.h"
#include "prng.h"

#define STRING_EMPTY 0
#define STRING_OTHER 1
#define STRING_LONGEST_BYTES 1024 /* a longer name keeps its end: files differ there */

typedef struct {
    char *bytes;
    uint32_t *offsets; /* one more than there are strings */
    uint32_t count, capacity;
    uint32_t used_bytes, capacity_bytes;
    Index index;
} Strings;

static uint64_t
hash_bytes(const char *bytes, uint32_t length)
{
    uint64_t hash = length;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = mix64(hash ^ word);
        bytes += 8;
        length -= 8;
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, length);
    return mix64(hash ^ rest);
}

/* Returns the string's number; `*full` is set where it found no room. */
static uint32_t
strings_intern(Strings *strings, const char *bytes, uint32_t length, bool *full)
{
    uint64_t hash = hash_bytes(bytes, length);
    uint32_t slot = index_home(&strings->index, hash);
    for (; strings->index.slots[slot] != 0; slot = index_after(&strings->index, slot)) {
        uint32_t id = strings->index.slots[slot] - 1;
        uint32_t offset = strings->offsets[id];
        if (strings->offsets[id + 1] - offset == length &&
            memcmp(strings->bytes + offset, bytes, length) == 0) {
            return id;
        }
    }
    if (strings->count == strings->capacity ||
        strings->capacity_bytes - strings->used_bytes < length) {
        *full = true;
        return STRING_OTHER;
    }
    memcpy(strings->bytes + strings->used_bytes, bytes, length);
    strings->used_bytes += length;
    strings->offsets[++strings->count] = strings->used_bytes;
    strings->index.slots[slot] = strings->count;
    return strings->count - 1;
}

static uint32_t
strings_intern_text(Strings *strings, PyObject *string, bool *full)
{
    Text text;
    char encoded[STRING_LONGEST_BYTES];
    if (!text_of(string, &text)) {
        return STRING_EMPTY;
    }
    /* UTF8_MAX_BYTES a character at most: what is kept surely fits. */
    Py_ssize_t kept = text.length;
    Py_ssize_t limit = PyUnicode_IS_ASCII(string) ? STRING_LONGEST_BYTES : STRING_LONGEST_BYTES / UTF8_MAX_BYTES;
    if (kept > limit) {
        kept = limit;
    }
    Py_ssize_t first = text.length - kept;
    if (PyUnicode_IS_ASCII(string)) {
        return strings_intern(strings, (const char *)text.data + first, (uint32_t)kept, full);
    }
    char *end = encoded;
    for (Py_ssize_t i = first; i < text.length; i++) {
        end = put_utf8(end, PyUnicode_READ(text.kind, text.data, i));
    }
    return strings_intern(strings, encoded, (uint32_t)(end - encoded), full);
}

static void
strings_destroy(Strings *strings)
{
    memory_unmap(strings->bytes, strings->capacity_bytes);
    memory_unmap(strings->offsets, ((size_t)strings->capacity + 1) * sizeof(uint32_t));
    index_destroy(&strings->index);
    memset(strings, 0, sizeof(*strings));
}

static bool
strings_create(Strings *strings, uint32_t capacity, uint32_t capacity_bytes)
{
    bool full = false;
    memset(strings, 0, sizeof(*strings));
    strings->capacity = capacity;
    strings->capacity_bytes = capacity_bytes;
    strings->bytes = memory_map(capacity_bytes);
    strings->offsets = memory_map(((size_t)capacity + 1) * sizeof(uint32_t));
    if (!index_create(&strings->index, capacity) || !strings->bytes || !strings->offsets) {
        strings_destroy(strings);
        return false;
    }
    strings_intern(strings, "", 0, &full);
    strings_intern(strings, "<other>", 7, &full);
    return true;
}

#endif
