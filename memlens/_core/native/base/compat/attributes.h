/* What depends on the version of CPython: where an instance keeps its attributes. Included by compat.h. */
#ifndef MEMLENS_BASE_COMPAT_ATTRIBUTES_H
#define MEMLENS_BASE_COMPAT_ATTRIBUTES_H

/* Where an instance keeps its attributes. No __dict__ is created for an instance without one. */
typedef struct {
    PyObject *dict;       /* its __dict__, where it has one */
    PyObject **values;    /* or the values themselves, named by the keys of the type */
    Py_ssize_t capacity;  /* how many values there is room for */
    size_t owned_bytes;   /* of the value array, where it is a block of its own or inline */
} CompatAttributes;

static inline Py_ssize_t
compat_dict_offset(PyObject *object, PyTypeObject *type)
{
    Py_ssize_t offset = type->tp_dictoffset;
    if (offset < 0) {
        Py_ssize_t length = Py_SIZE(object) < 0 ? -Py_SIZE(object) : Py_SIZE(object);
        offset += (Py_ssize_t)_PyObject_VAR_SIZE(type, length);
    }
    return offset;
}

static inline CompatAttributes
compat_attributes(PyObject *object, PyTypeObject *type)
{
    CompatAttributes found = {NULL, NULL, 0, 0};
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        CompatKeys *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
#if MEMLENS_MINOR == 11
        PyDictValues *values = *_PyObject_ValuesPointer(object);
        found.dict = *_PyObject_ManagedDictPointer(object);
        if (values != NULL && keys != NULL) {
            found.values = values->values;
            found.capacity = compat_keys_capacity(keys);
            found.owned_bytes
                = (size_t)found.capacity * sizeof(PyObject *) + ((uint8_t *)values)[-1];
        }
#elif MEMLENS_MINOR == 12
        PyDictOrValues either = *_PyObject_DictOrValuesPointer(object);
        if (_PyDictOrValues_IsValues(either)) {
            PyDictValues *values = _PyDictOrValues_GetValues(either);
            if (values != NULL && keys != NULL) {
                found.values = values->values;
                found.capacity = compat_keys_capacity(keys);
                found.owned_bytes
                    = (size_t)found.capacity * sizeof(PyObject *) + ((uint8_t *)values)[-1];
            }
        }
        else {
            found.dict = either.dict;
        }
#else
        found.dict = (PyObject *)_PyObject_ManagedDictPointer(object)->dict;
        if (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) {
            PyDictValues *values = (PyDictValues *)((char *)object + type->tp_basicsize);
            size_t words = values->capacity;
            found.owned_bytes = (words + (words + 2 * sizeof(PyObject *) - 1) / sizeof(PyObject *))
                                * sizeof(PyObject *);
            if (values->valid && keys != NULL) {
                found.values = values->values;
                found.capacity = (Py_ssize_t)words;
            }
        }
#endif
        return found;
    }
    Py_ssize_t offset = compat_dict_offset(object, type);
    if (offset > 0) {
        found.dict = *(PyObject **)((char *)object + offset);
    }
    return found;
}

/* The memory block of the attributes of an instance that has no dict; NULL where they lie in the
 * instance. */
static inline void *
compat_attributes_block(PyObject *object, PyTypeObject *type)
{
#if MEMLENS_MINOR <= 12
    CompatAttributes found = compat_attributes(object, type);
    if (found.values != NULL) {
        return compat_values_block(
            (PyDictValues *)((char *)found.values - offsetof(PyDictValues, values)));
    }
#else
    (void)object, (void)type;
#endif
    return NULL;
}

#endif
