/* Read str objects without changing them. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "base/text.h"
#include "base/utf8.h"

int
text_is_readable(PyObject *text)
{
    return text != NULL && PyUnicode_Check(text) && compat_text_is_ready(text);
}

int
append_utf8(Buffer *bytes, PyObject *text)
{
    if (!text_is_readable(text)) {
        return 0;
    }
    size_t length = (size_t)PyUnicode_GET_LENGTH(text);
    if (buffer_reserve(bytes, UTF8_MAX_BYTES * length + 1) < 0) {
        return -1;
    }
    if (PyUnicode_IS_ASCII(text)) {
        memcpy(bytes->data + bytes->size, PyUnicode_DATA(text), length);
        bytes->size += length;
        return 0;
    }
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    char *out = bytes->data + bytes->size;
    for (size_t i = 0; i < length; i++) {
        out = put_utf8(out, PyUnicode_READ(kind, data, i));
    }
    bytes->size = (size_t)(out - bytes->data);
    return 0;
}

int
text_starts_with(PyObject *text, const char *ascii)
{
    if (!text_is_readable(text)) {
        return 0;
    }
    Py_ssize_t length = (Py_ssize_t)strlen(ascii);
    if (PyUnicode_GET_LENGTH(text) < length) {
        return 0;
    }
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    for (Py_ssize_t i = 0; i < length; i++) {
        if (PyUnicode_READ(kind, data, i) != (Py_UCS4)(unsigned char)ascii[i]) {
            return 0;
        }
    }
    return 1;
}

int
text_equals(PyObject *text, const char *ascii)
{
    return text_starts_with(text, ascii) && PyUnicode_GET_LENGTH(text) == (Py_ssize_t)strlen(ascii);
}

int
text_begins_with(PyObject *text, PyObject *start)
{
    if (!text_is_readable(text) || !text_is_readable(start)) {
        return 0;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(start);
    if (PyUnicode_GET_LENGTH(text) < length) {
        return 0;
    }
    int kind = PyUnicode_KIND(text), start_kind = PyUnicode_KIND(start);
    const void *data = PyUnicode_DATA(text), *start_data = PyUnicode_DATA(start);
    if (kind == start_kind) {
        return memcmp(data, start_data, (size_t)length * (size_t)kind) == 0;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        if (PyUnicode_READ(kind, data, i) != PyUnicode_READ(start_kind, start_data, i)) {
            return 0;
        }
    }
    return 1;
}

#endif
