/* The text of plain strings, bytes and numbers: only where the caller asked for values.
 *
 * The only part of a capture that makes Python objects, none of which the collector tracks. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/values.h"
#include "base/text.h"

enum { KEY_LIMIT = 80, VALUE_LIMIT = 200, LONGEST_INT_BITS = 600 };

/* Return the number of the beginning of `text`. Steals the reference to `text`. */
static uint32_t
add_text(Capture *capture, PyObject *text, Py_ssize_t limit)
{
    PyObject *cut = text == NULL ? NULL : PyUnicode_Substring(text, 0, limit);
    uint32_t number = 0;
    if (cut == NULL) {
        PyErr_Clear(); /* no memory: the capture goes on without this value */
    }
    else {
        Buffer bytes = {NULL, 0, 0};
        capture->failed |= append_utf8(&bytes, cut) < 0;
        number = strings_add(&capture->strings, bytes.data, bytes.size);
        capture->failed |= number == UINT32_MAX;
        buffer_free(&bytes);
    }
    Py_XDECREF(cut);
    Py_XDECREF(text);
    return number;
}

static uint32_t
add_repr(Capture *capture, PyObject *value, Py_ssize_t limit)
{
    uint32_t number = add_text(capture, value == NULL ? NULL : PyObject_Repr(value), limit);
    Py_XDECREF(value);
    return number;
}

/* The leading digits of a number with more of them than are shown, in hexadecimal. */
static uint32_t
add_long_int(Capture *capture, PyObject *value, size_t bits, Py_ssize_t limit)
{
    PyObject *shift = PyLong_FromSize_t(bits - LONGEST_INT_BITS);
    PyObject *head = shift == NULL ? NULL : PyNumber_Rshift(value, shift);
    PyObject *digits = head == NULL ? NULL : PyNumber_ToBase(head, 16);
    PyObject *text = digits == NULL ? NULL : PyUnicode_FromFormat("%U...", digits);
    Py_XDECREF(shift);
    Py_XDECREF(head);
    Py_XDECREF(digits);
    return add_text(capture, text, limit);
}

static uint32_t
shown_plain(Capture *capture, PyObject *value, Py_ssize_t limit)
{
    PyTypeObject *type = Py_TYPE(value);
    if (type == &PyBytes_Type) {
        Py_ssize_t length = Py_SIZE(value) < limit ? Py_SIZE(value) : limit;
        return add_repr(capture, PyBytes_FromStringAndSize(PyBytes_AS_STRING(value), length), limit);
    }
    if (type == &PyLong_Type && _PyLong_NumBits(value) > LONGEST_INT_BITS) {
        return add_long_int(capture, value, _PyLong_NumBits(value), limit);
    }
    if (type == &PyLong_Type || type == &PyFloat_Type || type == &PyBool_Type || value == Py_None) {
        return add_text(capture, PyObject_Repr(value), limit);
    }
    return 0;
}

uint32_t
shown_key(Capture *capture, PyObject *key)
{
    if (Py_TYPE(key) == &PyUnicode_Type) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(key);
        return add_repr(capture, PyUnicode_Substring(key, 0, length < KEY_LIMIT ? length : KEY_LIMIT),
                        KEY_LIMIT);
    }
    return shown_plain(capture, key, KEY_LIMIT);
}

uint32_t
shown_value(Capture *capture, PyObject *value)
{
    if (Py_TYPE(value) == &PyUnicode_Type) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(value);
        return add_text(capture,
                        PyUnicode_Substring(value, 0, length < VALUE_LIMIT ? length : VALUE_LIMIT),
                        VALUE_LIMIT);
    }
    if (Py_TYPE(value) == &PyBool_Type || value == Py_None) {
        return 0;
    }
    return shown_plain(capture, value, VALUE_LIMIT);
}

#endif
