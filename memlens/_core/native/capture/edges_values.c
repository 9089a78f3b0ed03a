/* Plain values: no references, but bytes of their own. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_values.h"

void
refers_to_nothing(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)capture, (void)object, (void)plan;
}

void
str_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyASCIIObject *text = (PyASCIIObject *)object;
    (void)plan;
    capture->size -= sizeof(PyUnicodeObject); /* the greatest of its forms */
    if (text->state.compact) {
        if (text->state.ascii) {
            capture->size += sizeof(PyASCIIObject) + (uint64_t)text->length + 1;
            return;
        }
        capture->size += sizeof(PyCompactUnicodeObject)
                         + ((uint64_t)text->length + 1) * text->state.kind;
    }
    else {
        capture->size += sizeof(PyUnicodeObject);
        if (((PyUnicodeObject *)object)->data.any != NULL) {
            capture->size += ((uint64_t)text->length + 1) * text->state.kind;
        }
    }
    PyCompactUnicodeObject *wide = (PyCompactUnicodeObject *)object;
    if (wide->utf8 != NULL && (text->state.compact || wide->utf8 != ((PyUnicodeObject *)object)->data.any)) {
        capture->size += (uint64_t)wide->utf8_length + 1;
    }
    capture->size += compat_text_wide_bytes(object);
}

void
int_content(Capture *capture, PyObject *object, const Plan *plan)
{
    capture->size += compat_int_digits(object) * sizeof(digit);
    if (plan->known == &PyBool_Type) { /* its structure includes a digit */
        capture->size -= (uint64_t)(PyBool_Type.tp_basicsize - PyLong_Type.tp_basicsize);
    }
}

void
bytearray_content(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)plan;
    capture->size += compat_bytearray_bytes(object);
}

#endif
