/* What depends on the version of CPython: str, int, bytearray and BytesIO. Included by compat.h. */
#ifndef MEMLENS_BASE_COMPAT_TEXTS_AND_NUMBERS_H
#define MEMLENS_BASE_COMPAT_TEXTS_AND_NUMBERS_H

/* ---- str ------------------------------------------------------------------------------------- */

/* Whether the characters of a str are there: up to 3.11 some are made when first needed. */
static inline int
compat_text_is_ready(PyObject *text)
{
#if MEMLENS_MINOR == 11
    return PyUnicode_IS_READY(text);
#else
    (void)text;
    return 1;
#endif
}

/* Bytes of the wchar_t form that a str keeps beside its characters. */
static inline size_t
compat_text_wide_bytes(PyObject *text)
{
#if MEMLENS_MINOR == 11
    const PyASCIIObject *ascii = (PyASCIIObject *)text;
    if (ascii->wstr != NULL
        && (!ascii->state.ready || (void *)ascii->wstr != PyUnicode_DATA(text))) {
        return ((size_t)((PyCompactUnicodeObject *)text)->wstr_length + 1) * sizeof(wchar_t);
    }
#endif
    (void)text;
    return 0;
}

/* ---- int ------------------------------------------------------------------------------------- */

/* How many digits an int has room for. */
static inline uint64_t
compat_int_digits(PyObject *object)
{
#if MEMLENS_MINOR >= 12
    uint64_t digits = ((PyLongObject *)object)->long_value.lv_tag >> 3;
#else
    Py_ssize_t length = Py_SIZE(object);
    uint64_t digits = (uint64_t)(length < 0 ? -length : length);
#endif
    digits += digits == 0; /* zero has room for a digit */
    return digits;
}

/* The digits of a plain int that is not negative, the lowest first; NULL for all else. */
static inline const digit *
compat_int_lowest_digits(PyObject *object)
{
    if (Py_TYPE(object) != &PyLong_Type) {
        return NULL;
    }
#if MEMLENS_MINOR >= 12
    const _PyLongValue *value = &((PyLongObject *)object)->long_value;
    return (value->lv_tag & 3) == 2 ? NULL : value->ob_digit;
#else
    return Py_SIZE(object) < 0 ? NULL : ((PyLongObject *)object)->ob_digit;
#endif
}

/* The value of a plain positive int of at most two digits; 0 for all else. */
static inline uint64_t
compat_small_positive(PyObject *object)
{
    if (Py_TYPE(object) != &PyLong_Type) {
        return 0;
    }
#if MEMLENS_MINOR >= 12
    const digit *digits = ((PyLongObject *)object)->long_value.ob_digit;
    uintptr_t tag = ((PyLongObject *)object)->long_value.lv_tag;
    Py_ssize_t count = (tag & 3) == 0 ? (Py_ssize_t)(tag >> 3) : 0;
#else
    const digit *digits = ((PyLongObject *)object)->ob_digit;
    Py_ssize_t count = Py_SIZE(object);
#endif
    return count == 1   ? digits[0]
           : count == 2 ? digits[0] | (uint64_t)digits[1] << PyLong_SHIFT
                        : 0;
}

/* ---- other built-in types -------------------------------------------------------------------- */

/* Bytes of the contents of a bytearray. From 3.15 on they lie in a bytes object, which nothing else
 * refers to, so they are counted with the bytearray. */
static inline size_t
compat_bytearray_bytes(PyObject *object)
{
    size_t allocated = (size_t)((PyByteArrayObject *)object)->ob_alloc;
#if MEMLENS_MINOR >= 15
    return allocated == 0 ? 0 : allocated + offsetof(PyBytesObject, ob_sval) + 1;
#else
    return allocated;
#endif
}

/* The memory block of those contents. */
static inline void *
compat_bytearray_block(PyObject *object)
{
#if MEMLENS_MINOR >= 15
    return ((PyByteArrayObject *)object)->ob_bytes_object;
#else
    return ((PyByteArrayObject *)object)->ob_bytes;
#endif
}

#endif
