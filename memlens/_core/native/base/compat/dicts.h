/* What depends on the version of CPython: the tables of dicts: keys, hashes and values. Included by compat.h. */
#ifndef MEMLENS_BASE_COMPAT_DICTS_H
#define MEMLENS_BASE_COMPAT_DICTS_H

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

#endif
