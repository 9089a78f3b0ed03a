/* What the adapters of libraries send: chunks, each complete in itself, and after a u32 length.
 *
 * A chunk: u32 numbers of names, rows and bytes of a note; rows of five u64 (position of the owner
 * among the measured objects, address, bytes, name of the device, name of the library); the names,
 * each a u32 length and UTF-8; the note. memlens/_core/native_chunks.py writes them. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_chunks.h"

enum { ROW_NUMBERS = 5, HEADER_NUMBERS = 3 };

typedef struct {
    const char *at;
    size_t left;
} Reader;

static const char *
take(Reader *reader, size_t bytes)
{
    const char *taken = reader->at;
    if (bytes > reader->left) {
        return NULL;
    }
    reader->at += bytes;
    reader->left -= bytes;
    return taken;
}

static int
take_number(Reader *reader, uint32_t *number)
{
    const char *taken = take(reader, sizeof *number);
    if (taken == NULL) {
        return -1;
    }
    memcpy(number, taken, sizeof *number);
    return 0;
}

/* The index of the measured object at a position; NODE_NONE if it is not in this heap. */
static uint32_t
measured_index(Capture *capture, uint64_t position)
{
    PyObject *list = capture->facts.measured;
    if (list == NULL) {
        return position < COUNT(capture->native_owners, uint32_t)
                   ? ITEMS(capture->native_owners, uint32_t)[position]
                   : NODE_NONE;
    }
    uint32_t index = NODE_NONE;
    if (position < (uint64_t)PyList_GET_SIZE(list)) {
        uint64_t address = (uint64_t)(uintptr_t)PyList_GET_ITEM(list, (Py_ssize_t)position);
        index = table_find(&capture->table, address);
    }
    return index;
}

/* Whether bytes are UTF-8 as Python decodes it: the shortest form, no surrogates. */
static int
is_utf8(const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        unsigned char first = (unsigned char)text[i++];
        int more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (more == 0) {
            continue;
        }
        uint32_t number = first & (0x3fu >> more);
        if (first < 0xc2 || first > 0xf4 || length - i < (size_t)more) {
            return 0;
        }
        for (int k = 0; k < more; k++, i++) {
            if (((unsigned char)text[i] & 0xc0) != 0x80) {
                return 0;
            }
            number = number << 6 | ((unsigned char)text[i] & 0x3f);
        }
        if ((more == 2 && (number < 0x800 || (number >= 0xd800 && number < 0xe000)))
            || (more == 3 && (number < 0x10000 || number > 0x10ffff))) {
            return 0;
        }
    }
    return 1;
}

/* Whether a note is one line of text that can be an object of JSON; no note is one as well. */
static int
is_note(const char *note, size_t length)
{
    return length == 0
           || (note[0] == '{' && note[length - 1] == '}' && memchr(note, '\n', length) == NULL
               && is_utf8(note, length));
}

static int
take_names(Capture *capture, Reader *reader, uint32_t count, Buffer *names)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length;
        const char *text = take_number(reader, &length) < 0 ? NULL : take(reader, length);
        if (text == NULL || !is_utf8(text, length)) {
            return -1;
        }
        uint32_t number = strings_add(&capture->strings, text, length);
        if (number == UINT32_MAX || push_u32(names, number) < 0) {
            capture->failed = 1;
            return -1;
        }
    }
    return 0;
}

static void
add_row(Capture *capture, const uint64_t *numbers, const Buffer *names)
{
    uint32_t owner = measured_index(capture, numbers[0]);
    if (owner == NODE_NONE) {
        return;
    }
    NativeRow row = {
        .owner = owner,
        .address = numbers[1],
        .bytes = numbers[2],
        .device = ((uint32_t *)names->data)[numbers[3]],
        .library = ((uint32_t *)names->data)[numbers[4]],
        .origin = OF_ADAPTER,
    };
    PUSH_ROW(capture, &capture->native_rows, row);
}

static void
row_at(const char *rows, uint32_t row, uint64_t *numbers)
{
    memcpy(numbers, rows + (size_t)row * ROW_NUMBERS * sizeof *numbers, ROW_NUMBERS * sizeof *numbers);
}

/* Whether all rows name a device and a library that the chunk has. */
static int
names_are_there(const char *rows, uint32_t row_count, uint32_t name_count)
{
    for (uint32_t i = 0; i < row_count; i++) {
        uint64_t numbers[ROW_NUMBERS];
        row_at(rows, i, numbers);
        if (numbers[3] >= name_count || numbers[4] >= name_count) {
            return 0;
        }
    }
    return 1;
}

/* Returns -1, and takes nothing from it, if the chunk is not complete or has a rest, or if it names
 * what it has not. */
static int
read_chunk(Capture *capture, Reader reader, Buffer *names)
{
    uint32_t header[HEADER_NUMBERS];
    const char *rows, *note;
    for (int i = 0; i < HEADER_NUMBERS; i++) {
        if (take_number(&reader, &header[i]) < 0) {
            return -1;
        }
    }
    size_t row_bytes = (size_t)header[1] * ROW_NUMBERS * sizeof(uint64_t);
    if ((rows = take(&reader, row_bytes)) == NULL
        || take_names(capture, &reader, header[0], names) < 0
        || (note = take(&reader, header[2])) == NULL || reader.left > 0
        || !is_note(note, header[2]) || !names_are_there(rows, header[1], header[0])) {
        return -1;
    }
    for (uint32_t i = 0; i < header[1]; i++) {
        uint64_t numbers[ROW_NUMBERS];
        row_at(rows, i, numbers);
        add_row(capture, numbers, names);
    }
    if (header[2] != 0) {
        capture->failed |= buffer_push(&capture->native_notes, note, header[2]) < 0
                           || push_u8(&capture->native_notes, '\n') < 0;
    }
    return 0;
}

static void
read_chunks(Capture *capture, const char *data, size_t bytes)
{
    static const char unreadable[]
        = "{\"library\": \"all adapters\", \"state\": \"unreadable\"}\n";
    Reader reader = {data, bytes};
    Buffer names = {NULL, 0, 0};
    uint32_t length;
    while (reader.left > 0 && !capture->failed) {
        const char *chunk = take_number(&reader, &length) < 0 ? NULL : take(&reader, length);
        if (chunk == NULL) {
            break; /* the sender was stopped while it sent this one */
        }
        names.size = 0;
        if (read_chunk(capture, (Reader){chunk, length}, &names) < 0) {
            capture->failed |= buffer_push(&capture->native_notes, unreadable, sizeof unreadable - 1)
                               < 0;
        }
    }
    buffer_free(&names);
}

/* The list of measured objects refers to each of them, and is itself no object of the program. */
static void
hide_references(Capture *capture)
{
    PyObject *list = capture->facts.measured;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        uint32_t index = table_find(&capture->table, (uint64_t)(uintptr_t)PyList_GET_ITEM(list, i));
        if (index != NODE_NONE) {
            capture->failed |= push_u32(&capture->hidden, index) < 0;
        }
    }
}

void
read_measured(Capture *capture)
{
    if (capture->facts.measured != NULL) {
        hide_references(capture);
        read_chunks(capture, capture->facts.chunks, capture->facts.chunk_bytes);
    }
    else if (capture->on_measure != NULL && capture->native_owners.size != 0) {
        Buffer chunks = {NULL, 0, 0};
        capture->on_measure(capture, &chunks);
        read_chunks(capture, chunks.data, chunks.size);
        buffer_free(&chunks);
    }
}

#endif
