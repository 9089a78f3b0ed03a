/* Native memory that objects of known types hold: read from their structures, without a call. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_memory.h"
#include "base/structures.h"
#include "capture/edges_numpy.h"
#include "capture/edges_stdlib.h"

void
foreign_data_memory(Capture *capture, PyObject *object)
{
    const ForeignData *data = (const ForeignData *)object;
    int is_inside = data->pointer == (const char *)&data->value;
    if (data->needs_free && !is_inside && data->bytes > 0) {
        add_native(capture, capture->index, OF_OBJECT, data->pointer, (uint64_t)data->bytes, "cpu",
                   "ctypes");
    }
}

void
mapping_memory(Capture *capture, PyObject *object)
{
    const Mapping *mapping = (const Mapping *)object;
    if (mapping->data != NULL && mapping->bytes > 0) {
        const char *device = mapping->descriptor < 0 ? "cpu" : "mapped"; /* at first */
        add_native(capture, capture->index, OF_MAPPING, mapping->data, (uint64_t)mapping->bytes,
                   device, "mmap");
    }
}

/* The buffer behind memoryviews is memory of the object that exports it, which the view holds. */
void
exported_memory(Capture *capture, PyObject *object)
{
    const Py_buffer *view = &((_PyManagedBufferObject *)object)->master;
    if (view->obj != NULL && view->buf != NULL && view->len > 0 && !PyBytes_Check(view->obj)
        && !PyByteArray_Check(view->obj)) {
        add_native(capture, capture_index(capture, view->obj), OF_VIEW, view->buf,
                   (uint64_t)view->len, "cpu", "buffer");
    }
}

static Py_ssize_t
array_item_bytes(const Capture *capture, const Array *array)
{
    const ArrayType *dtype = (const ArrayType *)array->dtype;
    if (dtype == NULL || (array->dimensions > 0 && (array->shape == NULL || array->strides == NULL))) {
        return 0;
    }
    return capture->facts.numpy_major >= 2 ? dtype->item_bytes_2 : dtype->item_bytes_1;
}

/* The bytes from the first to the last element; strides may be negative. */
static int
array_extent(const Capture *capture, const Array *array, uint64_t *start, uint64_t *end)
{
    uint64_t item_bytes = (uint64_t)array_item_bytes(capture, array);
    *start = (uint64_t)(uintptr_t)array->data;
    if (array->data == NULL || item_bytes == 0) {
        return 0;
    }
    *end = *start + item_bytes;
    for (int i = 0; i < array->dimensions; i++) {
        if (array->shape[i] <= 0) {
            return 0;
        }
        uint64_t reach = (uint64_t)(array->shape[i] - 1) * (uint64_t)array->strides[i];
        *(array->strides[i] < 0 ? start : end) += reach;
    }
    return *end > *start;
}

/* The memory of an array that does not own it belongs to its base. Of another array, of bytes, of a
 * mapping and so on it is known; of other objects, capsules mostly, it is not, except here. */
void
array_view_memory(Capture *capture, PyObject *object)
{
    const Array *array = (const Array *)object;
    uint64_t start, end;
    if (array->flags & ARRAY_OWNS_DATA || array->base == NULL || PyMemoryView_Check(array->base)
        || Py_TYPE(array->base) == Py_TYPE(object)
        || !array_extent(capture, array, &start, &end)) {
        return;
    }
    uint32_t owner = capture_index(capture, array->base);
    add_native(capture, owner, OF_VIEW, (const void *)(uintptr_t)start, end - start, "cpu", "numpy");
}

void
file_buffer_memory(Capture *capture, PyObject *object)
{
    const BufferedFile *file = (const BufferedFile *)object;
    Py_ssize_t bytes = file->buffer_bytes;
    Py_ssize_t mask = bytes > 0 && (bytes & (bytes - 1)) == 0 ? bytes - 1 : 0;
    if (file->buffer != NULL && bytes > 0 && file->buffer_mask == mask) {
        capture->size += (uint64_t)bytes;
    }
}

/* What is written is put together by a writer that shows neither its text nor how many bytes a
 * character has there, so that this is the least. In 3.11 the pieces are in a list instead. */
void
text_buffer_memory(Capture *capture, PyObject *object)
{
    const TextBufferHead *buffer = (const TextBufferHead *)object;
    if (buffer->state == TEXT_REALIZED && buffer->characters != NULL) {
        capture->size += buffer->capacity * sizeof(Py_UCS4);
    }
    else if (buffer->state == TEXT_ACCUMULATING && !COMPAT_BYTESIO_HIDES_BUFFER
             && buffer->length > 0) {
        capture->size += (uint64_t)buffer->length;
    }
}

int
own_contents(const Capture *capture, PyObject *object, const Plan *plan, uint64_t *start,
             uint64_t *end)
{
    if (plan->type == &PyBytes_Type) {
        *start = (uint64_t)(uintptr_t)PyBytes_AS_STRING(object);
        *end = *start + (uint64_t)Py_SIZE(object) + 1;
        return 1;
    }
    if (plan->known == &PyByteArray_Type) {
        *start = (uint64_t)(uintptr_t)compat_bytearray_block(object);
        *end = *start + compat_bytearray_bytes(object);
        return *end > *start;
    }
    if (plan->known_content == plain_array_content) {
        const PlainArray *array = (const PlainArray *)object;
        if (array->description == NULL || array->items == NULL) {
            return 0;
        }
        *start = (uint64_t)(uintptr_t)array->items;
        *end = *start + (uint64_t)array->allocated * (uint64_t)array->description->item_bytes;
        return *end > *start;
    }
    return plan->known_content == ndarray_content && ((const Array *)object)->flags & ARRAY_OWNS_DATA
           && array_extent(capture, (const Array *)object, start, end);
}

#endif
