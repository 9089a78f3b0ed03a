#include "graph/results.h"

#include "base/layout.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { LARGE_BYTES = 1 << 20 };

/* Give freed memory back before a large array is made. Once a large block has been freed, malloc
 * keeps the next ones of its size instead of unmapping them, and a larger array does not fit in
 * them: the memory of a process would then be the sum of all columns, not that of the live ones. */
static void
release_freed(size_t bytes)
{
#ifdef __GLIBC__
    if (bytes >= LARGE_BYTES) {
        malloc_trim(0);
    }
#else
    (void)bytes;
#endif
}

int
result_new(Result *result, PyObject *array_type, char typecode, Py_ssize_t length)
{
    static const char zero[8] = {0};
    result->array = NULL;
    PyObject *one = PyObject_CallFunction(array_type, "Cy#", (int)typecode, zero,
                                          (Py_ssize_t)typecode_bytes(typecode));
    if (one == NULL) {
        return -1;
    }
    release_freed((size_t)length * typecode_bytes(typecode));
    PyObject *array = PySequence_Repeat(one, length);
    Py_DECREF(one);
    if (array == NULL) {
        return -1;
    }
    if (PyObject_GetBuffer(array, &result->view, PyBUF_WRITABLE) < 0) {
        Py_DECREF(array);
        return -1;
    }
    result->array = array;
    return 0;
}

PyObject *
result_take(Result *result)
{
    PyObject *array = result->array;
    PyBuffer_Release(&result->view);
    result->array = NULL;
    return array;
}

void
result_drop(Result *result)
{
    if (result->array != NULL) {
        PyBuffer_Release(&result->view);
        Py_CLEAR(result->array);
    }
}

PyObject *
result_of_numbers(PyObject *array_type, Buffer *found, int failed)
{
    Result result = {NULL};
    PyObject *array = NULL;
    if (failed) {
        PyErr_NoMemory();
    }
    else if (result_new(&result, array_type, 'I', (Py_ssize_t)COUNT(*found, uint32_t)) == 0) {
        if (found->size != 0) {
            memcpy(result.view.buf, found->data, found->size);
        }
        array = result_take(&result);
    }
    buffer_free(found);
    return array;
}
