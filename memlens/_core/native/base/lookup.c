/* What a name is bound to in a dict or an instance, without running any code. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "base/lookup.h"
#include "base/text.h"

PyObject *
namespace_get(PyObject *dict, const char *name)
{
    if (dict == NULL || !PyDict_Check(dict) || ((PyDictObject *)dict)->ma_keys == NULL) {
        return NULL;
    }
    CompatEntries entries = compat_entries(((PyDictObject *)dict)->ma_keys);
    PyObject **split = compat_split_values((PyDictObject *)dict);
    for (Py_ssize_t i = 0; i < entries.count; i++) {
        PyObject *key = compat_entry_key(&entries, i);
        PyObject *value = split != NULL ? split[i] : compat_entry_value(&entries, i);
        if (value != NULL && key != NULL && Py_TYPE(key) == &PyUnicode_Type && text_equals(key, name)) {
            return value;
        }
    }
    return NULL;
}

PyObject *
attribute_get(PyObject *object, PyTypeObject *type, const char *name)
{
    CompatAttributes found = compat_attributes(object, type);
    if (found.values == NULL) {
        return namespace_get(found.dict, name);
    }
    CompatEntries entries = compat_entries(((PyHeapTypeObject *)type)->ht_cached_keys);
    for (Py_ssize_t i = 0; i < entries.count && i < found.capacity; i++) {
        PyObject *key = compat_entry_key(&entries, i);
        if (found.values[i] != NULL && text_equals(key, name)) {
            return found.values[i];
        }
    }
    return NULL;
}

#endif
