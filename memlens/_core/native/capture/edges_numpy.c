/* numpy arrays, by their structure. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_numpy.h"
#include "base/structures.h"

void
ndarray_content(Capture *capture, PyObject *object, const Plan *plan)
{
    Array *array = (Array *)object;
    const ArrayType *dtype = (ArrayType *)array->dtype;
    (void)plan;
    add_optional_edge(capture, array->base, text_label(capture, INTERNAL, "base"));
    add_optional_edge(capture, array->dtype, text_label(capture, INTERNAL, "dtype"));
    capture->size += (uint64_t)array->dimensions * 2 * sizeof(Py_ssize_t);
    if (dtype == NULL || (array->dimensions > 0 && array->shape == NULL)
        || !(array->flags & ARRAY_OWNS_DATA)) {
        return; /* a view: the bytes belong to its base */
    }
    Py_ssize_t count = 1;
    for (int i = 0; i < array->dimensions; i++) {
        count *= array->shape[i];
    }
    Py_ssize_t item_bytes
        = capture->facts.numpy_major >= 2 ? dtype->item_bytes_2 : dtype->item_bytes_1;
    capture->size += (uint64_t)count * (uint64_t)item_bytes;
    if (array->data != NULL && dtype->type_number == ARRAY_OF_OBJECTS && item_bytes == sizeof(PyObject *)
        && array->flags & (ARRAY_C_ORDER | ARRAY_F_ORDER)) {
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *item = ((PyObject **)array->data)[i];
            add_optional_edge(capture, item, index_label(i));
        }
    }
}

#endif
