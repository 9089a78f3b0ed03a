/* The keyed hashes of numbers, of the beginnings of texts, of large buffers and of large ints.
 *
 * A buffer that accumulates keeps its beginning; one that is emptied does not. A number at an address
 * that is used again tells a new row of a batch from the old one. The hash is that of
 * Python's bytes, whose key is secret and of this process, so that contents cannot be guessed from
 * a snapshot. The counterpart is _core/pure/prefix_sections.py. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/prefixes.h"
#include "base/structures.h"
#include "base/text.h"
#include "capture/edges_numpy.h"
#include "capture/edges_stdlib.h"

enum { MIN_NODE_BYTES = 512, MIN_ARRAY_BYTES = 1280, PREFIX_BYTES = 256, PREFIX_CHARACTERS = 128 };
enum { MAX_CACHED_INT = 1024 }; /* of all versions: ints up to here may be one shared object */

/* The characters, not the bytes: a str that gets wider characters keeps its beginning. */
static int
text_prefix_hash(PyObject *text, Py_hash_t *hash)
{
    Py_UCS4 characters[PREFIX_CHARACTERS];
    if (!text_is_readable(text)) {
        return 0;
    }
    if (PyUnicode_GET_LENGTH(text) < PREFIX_CHARACTERS) { /* as hash() computes it */
        *hash = compat_hash_bytes(PyUnicode_DATA(text),
                                  PyUnicode_GET_LENGTH(text) * PyUnicode_KIND(text));
        return 1;
    }
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t i = 0; i < PREFIX_CHARACTERS; i++) {
        characters[i] = PyUnicode_READ(kind, data, i);
    }
    *hash = compat_hash_bytes(characters, sizeof characters);
    return 1;
}

static int
bytes_prefix_hash(const char *data, Py_ssize_t length, Py_hash_t *hash)
{
    if (data == NULL || length < PREFIX_BYTES
        || (data[0] == 0 && memcmp(data, data + 1, PREFIX_BYTES - 1) == 0)) {
        return 0; /* zeros may just not have been written yet */
    }
    *hash = compat_hash_bytes(data, PREFIX_BYTES);
    return 1;
}

/* Numbers in C order only: other arrays have no beginning that an append would keep. */
static int
array_prefix_hash(PyObject *object, Py_hash_t *hash)
{
    const Array *array = (const Array *)object;
    const ArrayType *dtype = (const ArrayType *)array->dtype;
    if (dtype == NULL || strchr("biufc", dtype->kind) == NULL || !(array->flags & ARRAY_C_ORDER)
        || !(array->flags & ARRAY_OWNS_DATA) || array->dimensions < 1) {
        return 0;
    }
    return bytes_prefix_hash(array->data, PREFIX_BYTES, hash);
}

/* The digits from the lowest that is not zero: an int whose bits are a set keeps them where only
 * higher bits are added. */
static int
int_prefix_hash(PyObject *object, Py_hash_t *hash)
{
    const digit *digits = compat_int_lowest_digits(object);
    uint64_t count = compat_int_digits(object), first = 0;
    if (digits == NULL) {
        return 0;
    }
    while (first < count && digits[first] == 0) {
        first++;
    }
    return bytes_prefix_hash((const char *)(digits + first),
                             (Py_ssize_t)((count - first) * sizeof(digit)), hash);
}

static int
float_hash(PyObject *object, Py_hash_t *hash)
{
    double value = PyFloat_AS_DOUBLE(object);
    *hash = compat_hash_bytes(&value, sizeof value);
    return 1;
}

/* All digits of an int that is too small to be a buffer. */
static int
small_int_hash(PyObject *object, Py_hash_t *hash)
{
    const digit *digits = compat_int_lowest_digits(object);
    uint64_t count = compat_int_digits(object);
    if (digits == NULL || (count == 1 && digits[0] <= MAX_CACHED_INT)) {
        return 0;
    }
    *hash = compat_hash_bytes(digits, (Py_ssize_t)(count * sizeof(digit)));
    return 1;
}

static int
prefix_hash(PyObject *object, const Plan *plan, uint64_t size, Py_hash_t *hash)
{
    if (PyUnicode_CheckExact(object)) {
        return text_prefix_hash(object, hash);
    }
    if (PyFloat_CheckExact(object)) {
        return float_hash(object, hash);
    }
    if (size < MIN_NODE_BYTES && PyLong_CheckExact(object)) {
        return small_int_hash(object, hash);
    }
    if (size < MIN_NODE_BYTES && !PyBytes_CheckExact(object)) {
        return 0;
    }
    if (PyBytes_CheckExact(object) && Py_SIZE(object) < PREFIX_BYTES) {
        *hash = compat_hash_bytes(PyBytes_AS_STRING(object), Py_SIZE(object));
        return 1;
    }
    if (PyBytes_CheckExact(object)) {
        return bytes_prefix_hash(PyBytes_AS_STRING(object), Py_SIZE(object), hash);
    }
    if (PyByteArray_CheckExact(object)) {
        return bytes_prefix_hash(PyByteArray_AS_STRING(object), Py_SIZE(object), hash);
    }
    if (PyLong_CheckExact(object)) {
        return int_prefix_hash(object, hash);
    }
    if (plan->content == plain_array_content && plan->known == plan->type) {
        const PlainArray *array = (const PlainArray *)object;
        return array->description != NULL
               && bytes_prefix_hash(array->items, Py_SIZE(object) * array->description->item_bytes,
                                    hash);
    }
    if (plan->content == ndarray_content && plan->known == plan->type
        && size >= MIN_ARRAY_BYTES) {
        return array_prefix_hash(object, hash);
    }
    return 0;
}

void
note_prefix(Capture *capture, PyObject *object, const Plan *plan)
{
    Py_hash_t hash;
    if (prefix_hash(object, plan, capture->size, &hash)) {
        capture->failed |= push_u32(&capture->prefix_node, capture->node) < 0
                           || push_u32(&capture->prefix_hash, (uint32_t)hash) < 0;
    }
}

#endif
