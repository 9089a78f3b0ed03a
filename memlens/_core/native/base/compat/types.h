/* What depends on the version of CPython: classes: their subclasses, and the keys of their instances. Included by compat.h. */
#ifndef MEMLENS_BASE_COMPAT_TYPES_H
#define MEMLENS_BASE_COMPAT_TYPES_H

static inline PyObject *
compat_type_dict(PyTypeObject *type)
{
#if MEMLENS_MINOR >= 12
    return _PyType_GetDict(type); /* borrowed; built-in types keep it elsewhere */
#else
    return type->tp_dict;
#endif
}

/* Whether the instances of a type have attributes, in a dict or in values. */
static inline int
compat_has_dict(PyTypeObject *type)
{
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        return 1;
    }
    return type->tp_dictoffset != 0;
}

/* The keys of the values that instances of a heap type keep without a dict; NULL where they
 * never do. */
static inline CompatKeys *
compat_instance_keys(PyTypeObject *type)
{
    return ((PyHeapTypeObject *)type)->ht_cached_keys;
}

/* The dict of subclasses. From 3.12 on built-in types have a number in its place. */
static inline PyObject *
compat_type_subclasses(PyTypeObject *type)
{
#if MEMLENS_MINOR >= 12
    return type->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN ? NULL : type->tp_subclasses;
#else
    return type->tp_subclasses;
#endif
}

static inline PyMemberDef *
compat_slot_members(PyTypeObject *type)
{
    /* A heap type is followed by the descriptions of its __slots__, Py_SIZE of them. */
    return (PyMemberDef *)((char *)type + Py_TYPE(type)->tp_basicsize);
}

#endif
