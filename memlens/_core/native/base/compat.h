/* Everything that depends on the version of CPython, except frames and generators (frames.h).
 *
 * The capture reads structures that CPython calls internal: frames, dict keys, attribute values,
 * the collector's lists. Each supported version is written out here and checked by static asserts.
 * A layout may also change within a minor version, so the import compares the version that runs
 * (see capture/module.c). On another version, or a free-threaded build, it raises ImportError and
 * memlens captures in pure Python. */
#ifndef MEMLENS_BASE_COMPAT_H
#define MEMLENS_BASE_COMPAT_H

#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE 1
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The hash of bytes, with the key of the process; not in a public header before 3.14. */
#if PY_VERSION_HEX < 0x030E0000
PyAPI_FUNC(Py_hash_t) _Py_HashBytes(const void *, Py_ssize_t);
#define compat_hash_bytes _Py_HashBytes
#else
#define compat_hash_bytes Py_HashBuffer
#endif

#define MEMLENS_BUILDS "CPython 3.11 to 3.13, 3.14.5 and later, and 3.15, on 64-bit systems, with the GIL"

/* 3.14.0 to 3.14.4 have another collector, which keeps its lists in another order. The releases
 * before 3.15.0 were not read. */
static inline int
compat_version_is_known(unsigned long version)
{
    return (version >= 0x030B0000 && version < 0x030E0000)
           || (version >= 0x030E0500 && version < 0x030F0000)
           || (version >= 0x030F00F0 && version < 0x03100000);
}

#if ((PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000)                                  \
     || (PY_VERSION_HEX >= 0x030E0500 && PY_VERSION_HEX < 0x030F0000)                               \
     || (PY_VERSION_HEX >= 0x030F00F0 && PY_VERSION_HEX < 0x03100000))                              \
    && !defined(Py_GIL_DISABLED) && SIZEOF_VOID_P == 8 && !defined(_WIN32)
#define MEMLENS_SUPPORTED 1
#else
#define MEMLENS_SUPPORTED 0
#endif

#define MEMLENS_MINOR PY_MINOR_VERSION

#if MEMLENS_SUPPORTED

#include <frameobject.h>
#include <structmember.h>

#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_moduleobject.h"
#include "internal/pycore_code.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_object.h"
#include "internal/pycore_runtime.h"
#if MEMLENS_MINOR >= 14
#include "internal/pycore_genobject.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_typeobject.h"
#include "internal/pycore_unicodeobject.h"
#endif

#include <stddef.h>
#include <stdint.h>

/* A reference that a structure holds, and the name of its edge. */
typedef struct {
    const char *name;
    PyObject *object;   /* or NULL */
    int is_borrowed;    /* the reference is not part of the object's reference count */
} CompatNamed;

/* ---- the object header, the collector's header, the words before an object ------------------- */

_Static_assert(sizeof(PyObject) == 16, "an object's header is a count and a type");
_Static_assert(sizeof(PyGC_Head) == 16, "the collector's header is two words");
_Static_assert(sizeof(PyVarObject) == 24, "a sized object's header has a length");

#if MEMLENS_MINOR >= 12
#define compat_is_immortal(object) (_Py_IsImmortal(object))
#else
/* Objects of frozen modules are static and have a reference count that never reaches zero. */
#define compat_is_immortal(object) (Py_REFCNT(object) >= 999999999 / 2)
#endif

static inline int
compat_has_gc_header(PyObject *object, PyTypeObject *type)
{
    /* tp_is_gc tells heap types from static ones; it is always a C function of a built-in type. */
    return (type->tp_flags & Py_TPFLAGS_HAVE_GC)
           && (type->tp_is_gc == NULL || type->tp_is_gc(object));
}

static inline PyGC_Head *
compat_gc_header(PyObject *object)
{
    return (PyGC_Head *)object - 1;
}

static inline int
compat_is_tracked(PyObject *object)
{
    return compat_gc_header(object)->_gc_next != 0;
}

/* Bytes before the object: the collector's header, and words for attributes and weak references. */
static inline size_t
compat_header_bytes(PyObject *object, PyTypeObject *type)
{
    size_t size = compat_has_gc_header(object, type) ? sizeof(PyGC_Head) : 0;
#if MEMLENS_MINOR == 11
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        size += 2 * sizeof(PyObject *);
    }
#elif MEMLENS_MINOR >= 12
    if (type->tp_flags & (Py_TPFLAGS_MANAGED_DICT | Py_TPFLAGS_MANAGED_WEAKREF)) {
        size += 2 * sizeof(PyObject *);
    }
#endif
    return size;
}

/* ---- threads --------------------------------------------------------------------------------- */

/* The head of the list of threads. In 3.11 a new state is in the list before it is complete, and the
 * lock of the list is held until it is. */
static inline PyThreadState *
compat_first_thread(PyInterpreterState *interpreter)
{
#if MEMLENS_MINOR == 11
    PyThread_acquire_lock(_PyRuntime.interpreters.mutex, WAIT_LOCK);
    PyThreadState *first = PyInterpreterState_ThreadHead(interpreter);
    PyThread_release_lock(_PyRuntime.interpreters.mutex);
    return first;
#else
    return PyInterpreterState_ThreadHead(interpreter);
#endif
}

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

/* ---- dicts ----------------------------------------------------------------------------------- */

#if MEMLENS_MINOR <= 12
_Static_assert(offsetof(struct _dictkeysobject, dk_indices) == 32, "dict keys of 3.11 and 3.12");
#else
_Static_assert(offsetof(struct _dictkeysobject, dk_indices) == 32, "dict keys of 3.13 to 3.15");
_Static_assert(offsetof(struct _dictvalues, values) == 8, "inline values of 3.13 to 3.15");
#endif
_Static_assert(sizeof(PyDictKeyEntry) == 24 && sizeof(PyDictUnicodeEntry) == 16, "dict entries");

typedef struct _dictkeysobject CompatKeys;

/* The entries of a key table: for each position a key, and a value unless the table is shared. */
typedef struct {
    const char *entries;
    Py_ssize_t count;
    size_t stride;
    size_t key_at;
    int only_strings; /* every key is exactly a str */
} CompatEntries;

static inline size_t
compat_keys_index_bytes(CompatKeys *keys)
{
    return (size_t)1 << keys->dk_log2_index_bytes;
}

/* How many places its hash table has. */
static inline size_t
compat_keys_index_places(CompatKeys *keys)
{
    return (size_t)1 << keys->dk_log2_size;
}

static inline CompatEntries
compat_entries(CompatKeys *keys)
{
    CompatEntries found;
    found.entries = (const char *)keys->dk_indices + compat_keys_index_bytes(keys);
    found.count = keys->dk_nentries;
    found.only_strings = keys->dk_kind != DICT_KEYS_GENERAL;
    if (found.only_strings) {
        found.stride = sizeof(PyDictUnicodeEntry);
        found.key_at = offsetof(PyDictUnicodeEntry, me_key);
        return found;
    }
    found.stride = sizeof(PyDictKeyEntry);
    found.key_at = offsetof(PyDictKeyEntry, me_key);
    return found;
}

static inline PyObject *
compat_entry_key(const CompatEntries *entries, Py_ssize_t position)
{
    return *(PyObject **)(entries->entries + position * entries->stride + entries->key_at);
}

static inline PyObject *
compat_entry_value(const CompatEntries *entries, Py_ssize_t position)
{
    /* In both kinds of entry the value follows the key. */
    return *(PyObject **)(entries->entries + position * entries->stride + entries->key_at
                          + sizeof(PyObject *));
}

/* A dict that does not change, with a hash behind its fields; NULL before it was there. */
#if MEMLENS_MINOR >= 15
#define COMPAT_FROZENDICT_TYPE (&PyFrozenDict_Type)
#define compat_is_dict(object) PyAnyDict_Check(object)
#else
#define COMPAT_FROZENDICT_TYPE NULL
#define compat_is_dict(object) PyDict_Check(object)
#endif

/* How many values a table of shared keys has room for. */
static inline Py_ssize_t
compat_keys_capacity(CompatKeys *keys)
{
    return keys->dk_nentries + keys->dk_usable;
}

static inline size_t
compat_keys_bytes(CompatKeys *keys)
{
    CompatEntries entries = compat_entries(keys);
    size_t usable = 2 * compat_keys_index_places(keys) / 3; /* USABLE_FRACTION, shared keys or not */
    return offsetof(CompatKeys, dk_indices) + compat_keys_index_bytes(keys) + usable * entries.stride;
}

/* The value array of a dict that shares its keys, or NULL. */
static inline PyObject **
compat_split_values(PyDictObject *dict)
{
    return dict->ma_values == NULL ? NULL : dict->ma_values->values;
}

/* Whether that array lies within the instance, which then refers to the values itself. */
static inline int
compat_values_are_inline(PyDictObject *dict)
{
#if MEMLENS_MINOR >= 13
    return dict->ma_values != NULL && dict->ma_values->embedded;
#else
    (void)dict;
    return 0;
#endif
}

static inline size_t
compat_split_values_bytes(PyDictObject *dict)
{
    size_t capacity = (size_t)compat_keys_capacity(dict->ma_keys);
#if MEMLENS_MINOR <= 12
    return capacity * sizeof(PyObject *) + ((uint8_t *)dict->ma_values)[-1];
#else
    (void)capacity;
    size_t words = dict->ma_values->capacity;
    return (words + (words + 2 * sizeof(PyObject *) - 1) / sizeof(PyObject *)) * sizeof(PyObject *);
#endif
}

/* The memory block of a value array that lies outside its instance. */
static inline void *
compat_values_block(PyDictValues *values)
{
#if MEMLENS_MINOR <= 12
    return (char *)values - ((uint8_t *)values)[-1]; /* the order of the values comes before them */
#else
    return values;
#endif
}

/* ---- the attributes of an instance ----------------------------------------------------------- */

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

/* ---- types ----------------------------------------------------------------------------------- */

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

/* ---- functions and code objects -------------------------------------------------------------- */

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

/* ---- modules --------------------------------------------------------------------------------- */

/* The state of a module in C: its size, and what shows the references in it. */
typedef struct {
    Py_ssize_t size;
    traverseproc traverse;
} CompatModuleState;

static inline CompatModuleState
compat_module_state(PyModuleObject *module)
{
#if MEMLENS_MINOR >= 15
    return (CompatModuleState){module->md_state_size, module->md_state_traverse};
#else
    struct PyModuleDef *def = module->md_def;
    return def == NULL ? (CompatModuleState){0, NULL}
                       : (CompatModuleState){def->m_size, def->m_traverse};
#endif
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { COMPAT_MOST_EXCEPTION_PARTS = 3 };

/* The exception that the bottom of the stack of handled exceptions holds. The others belong to
 * generators. Returns how many objects it consists of. */
static inline int
compat_handled_exception(PyThreadState *thread, PyObject **parts)
{
    parts[0] = thread->exc_state.exc_value;
    return 1;
}

/* The exception that is being raised. */
static inline int
compat_raised_exception(PyThreadState *thread, PyObject **parts)
{
#if MEMLENS_MINOR >= 12
    parts[0] = thread->current_exception;
    return 1;
#else
    parts[0] = thread->curexc_type;
    parts[1] = thread->curexc_value;
    parts[2] = thread->curexc_traceback;
    return 3;
#endif
}

/* The attribute of threading.Thread that tells whether it has ended; NULL where that is a lock. */
#if MEMLENS_MINOR >= 14
#define COMPAT_THREAD_HANDLE "_os_thread_handle"
#elif MEMLENS_MINOR == 13
#define COMPAT_THREAD_HANDLE "_handle"
#else
#define COMPAT_THREAD_HANDLE NULL
#endif

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

/* ---- atexit ---------------------------------------------------------------------------------- */

/* The callbacks of atexit: from 3.14 on a list of tuples (function, arguments, keywords), which is
 * NULL before the first. */
static inline PyObject *
compat_atexit_list(PyInterpreterState *interpreter)
{
#if MEMLENS_MINOR >= 14
    return interpreter->atexit.callbacks;
#else
    (void)interpreter;
    return NULL;
#endif
}

/* Up to 3.13 an array in C: how many places it has. */
static inline int
compat_atexit_count(PyInterpreterState *interpreter)
{
#if MEMLENS_MINOR >= 14
    (void)interpreter;
    return 0;
#else
    return interpreter->atexit.ncallbacks;
#endif
}

/* What the array holds at a place: function, arguments, keywords. They are NULL where a callback was
 * taken back. */
static inline void
compat_atexit_callback(PyInterpreterState *interpreter, int place, PyObject *parts[3])
{
    parts[0] = parts[1] = parts[2] = NULL;
#if MEMLENS_MINOR >= 14
    (void)interpreter, (void)place;
#else
    if (interpreter->atexit.callbacks[place] != NULL) {
        parts[0] = interpreter->atexit.callbacks[place]->func;
        parts[1] = interpreter->atexit.callbacks[place]->args;
        parts[2] = interpreter->atexit.callbacks[place]->kwargs;
    }
#endif
}

/* Whether the collector is not shown what an io.BytesIO and an io.StringIO hold. */
#if MEMLENS_MINOR < 12
#define COMPAT_BYTESIO_HIDES_BUFFER 1
#else
#define COMPAT_BYTESIO_HIDES_BUFFER 0
#endif

/* ---- the collector's lists ------------------------------------------------------------------- */

/* The generations and behind them the frozen objects (struct _gc_runtime_state). Up to 3.13 a pointer
 * lies between them. */
enum { COMPAT_FROZEN_GAP_BYTES = MEMLENS_MINOR >= 14 ? 0 : sizeof(void *) };
_Static_assert(sizeof(struct gc_generation) == 24, "a generation is a list head and two counters");
_Static_assert(NUM_GENERATIONS == 3, "three generations");
_Static_assert(offsetof(struct _gc_runtime_state, permanent_generation)
                       - offsetof(struct _gc_runtime_state, generations)
                   == 3 * sizeof(struct gc_generation) + COMPAT_FROZEN_GAP_BYTES,
               "the frozen generation follows the others");

#endif /* MEMLENS_SUPPORTED */
#endif
