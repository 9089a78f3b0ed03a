/* The strings of a capture, numbered in the order of their first use; string 0 is "". */
#ifndef MEMLENS_BASE_STRINGS_H
#define MEMLENS_BASE_STRINGS_H

#include "base/compat.h"

#include "base/buffer.h"

typedef struct {
    Buffer bytes;   /* UTF-8 of all strings, with surrogates as they are */
    Buffer offsets; /* u64, one more than there are strings */
    Buffer numbers; /* open addressing by content: string number plus 1 */
    Buffer objects; /* open addressing by address of the str: what has been looked up before */
    uint64_t number_mask, object_mask;
    uint64_t object_count;
    uint32_t count;
    int failed; /* there was no memory for some string */
} StringTable;

int strings_init(StringTable *strings);
void strings_free(StringTable *strings);

/* All return UINT32_MAX when there is no memory. */
uint32_t strings_add(StringTable *strings, const char *text, size_t length);
uint32_t strings_add_text(StringTable *strings, const char *text);

/* The number of a str object; 0, the empty string, for any other object. */
uint32_t strings_add_object(StringTable *strings, PyObject *text);

#endif
