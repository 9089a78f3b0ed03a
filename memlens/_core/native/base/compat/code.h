/* What depends on the version of CPython: functions and code objects. Included by compat.h. */
#ifndef MEMLENS_BASE_COMPAT_CODE_H
#define MEMLENS_BASE_COMPAT_CODE_H

static inline PyObject *
compat_function_type_params(PyFunctionObject *function)
{
#if MEMLENS_MINOR >= 12
    return function->func_typeparams;
#else
    (void)function;
    return NULL;
#endif
}

static inline PyObject *
compat_code_name(PyCodeObject *code)
{
    return code->co_qualname;
}

enum { COMPAT_MOST_CODE_FIELDS = 8 };

/* What a code object refers to beside the fields that all versions have. Returns how many there
 * are. */
static inline int
compat_code_fields(PyCodeObject *code, CompatNamed *fields)
{
    int count = 0;
    fields[count++] = (CompatNamed){"co_qualname", code->co_qualname};
    fields[count++] = (CompatNamed){"co_exceptiontable", code->co_exceptiontable};
    fields[count++] = (CompatNamed){"co_localsplusnames", code->co_localsplusnames};
    fields[count++] = (CompatNamed){"co_localspluskinds", code->co_localspluskinds};
#if MEMLENS_MINOR == 11
    fields[count++] = (CompatNamed){"co_code", code->_co_code};
#else
    if (code->_co_cached != NULL) {
        fields[count++] = (CompatNamed){"co_code", code->_co_cached->_co_code};
        fields[count++] = (CompatNamed){"co_varnames", code->_co_cached->_co_varnames};
        fields[count++] = (CompatNamed){"co_cellvars", code->_co_cached->_co_cellvars};
        fields[count++] = (CompatNamed){"co_freevars", code->_co_cached->_co_freevars};
    }
#endif
    return count;
}

/* The size of a code object, its instructions included where they are a part of it. */
static inline size_t
compat_code_bytes(PyCodeObject *code, PyTypeObject *type)
{
#if MEMLENS_MINOR == 11
    return _PyObject_VAR_SIZE(type, Py_SIZE(code));
#else
    return _PyObject_VAR_SIZE(type, Py_SIZE(code))
           + (code->_co_cached != NULL ? sizeof(*code->_co_cached) : 0);
#endif
}

/* How many variables of enclosing functions the code uses. */
static inline int
compat_code_free_count(PyCodeObject *code)
{
    return code->co_nfreevars;
}

/* The slot of a frame in which they begin. */
static inline int
compat_code_first_free(PyCodeObject *code)
{
    return code->co_nlocalsplus - code->co_nfreevars;
}

/* The name of a frame's slot, or NULL for what lies on its evaluation stack. */
static inline PyObject *
compat_local_name(PyCodeObject *code, int slot)
{
    return slot < code->co_nlocalsplus ? PyTuple_GET_ITEM(code->co_localsplusnames, slot) : NULL;
}

/* What a function refers to beside the fields that all versions have and the type parameters: the
 * callable that makes its annotations. */
static inline PyObject *
compat_function_annotate(PyFunctionObject *function)
{
#if MEMLENS_MINOR >= 14
    return function->func_annotate;
#else
    (void)function;
    return NULL;
#endif
}

#endif
