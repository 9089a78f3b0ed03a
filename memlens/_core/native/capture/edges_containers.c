/* What built-in containers hold, and the bytes that plain values take. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/capture.h"

void
refers_to_nothing(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)capture, (void)object, (void)plan;
}

/* ---- lists, tuples, sets --------------------------------------------------------------------- */

static void
add_items(Capture *capture, PyObject **items, Py_ssize_t count)
{
    if (count > 0
        && (buffer_reserve(&capture->edge_target, (size_t)count * sizeof(uint32_t)) < 0
            || buffer_reserve(&capture->edge_label, (size_t)count * sizeof(uint32_t)) < 0)) {
        capture->failed = 1;
        return;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (items[i] != NULL) { /* another thread may be filling it */
            add_edge(capture, items[i], index_label(i));
        }
    }
}

static void
list_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyListObject *list = (PyListObject *)object;
    (void)plan;
    capture->size += (uint64_t)list->allocated * sizeof(PyObject *);
    add_length(capture, (uint64_t)Py_SIZE(list), NO_BOUND);
    add_items(capture, list->ob_item, Py_SIZE(list));
}

static void
tuple_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyTupleObject *tuple = (PyTupleObject *)object;
    (void)plan;
    add_length(capture, (uint64_t)Py_SIZE(tuple), NO_BOUND);
    add_items(capture, tuple->ob_item, Py_SIZE(tuple));
}

static void
set_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PySetObject *set = (PySetObject *)object;
    (void)plan;
    if (set->table != set->smalltable) {
        capture->size += (uint64_t)(set->mask + 1) * sizeof(setentry);
    }
    add_length(capture, (uint64_t)set->used, NO_BOUND);
    for (Py_ssize_t i = 0; i <= set->mask; i++) {
        setentry *entry = &set->table[i];
        if (entry->key != NULL && entry->hash != -1) { /* -1: the mark of a deleted entry */
            add_edge(capture, entry->key, label_of(ITEM, 0));
        }
    }
}

/* ---- dicts ----------------------------------------------------------------------------------- */

static uint32_t
type_key_label(Capture *capture, PyObject *key)
{
    PyTypeObject *type = Py_TYPE(key);
    if (type == &PyUnicode_Type) {
        return capture->label_string_key;
    }
    Buffer *text = &capture->text;
    text->size = 0;
    capture->failed |= push_u8(text, '<') < 0;
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        capture->failed |= append_utf8(text, ((PyHeapTypeObject *)type)->ht_name) < 0;
    }
    else {
        const char *dot = strrchr(type->tp_name, '.');
        for (const char *at = dot == NULL ? type->tp_name : dot + 1; *at != '\0'; at++) {
            capture->failed |= push_u8(text, (uint8_t)*at) < 0;
        }
    }
    capture->failed |= push_u8(text, '>') < 0;
    uint32_t number = capture->failed ? 0 : strings_add(&capture->strings, text->data, text->size);
    text->size = 0;
    return number > MAX_PAYLOAD ? label_of(KEY, 0) : label_of(KEY, number);
}

uint32_t
key_label(Capture *capture, PyObject *key)
{
    if (capture->facts.values) {
        uint32_t number = shown_key(capture, key);
        if (number != 0 && number <= MAX_PAYLOAD) {
            return label_of(KEY, number);
        }
    }
    return type_key_label(capture, key);
}

static uint32_t
value_label(Capture *capture, PyObject *key, int is_namespace)
{
    if (is_namespace && Py_TYPE(key) == &PyUnicode_Type) {
        return named_label(capture, ATTRIBUTE, key);
    }
    return key_label(capture, key);
}

/* The keys of a dict, then the values. Shared keys are held by the class, not by the dict. */
static void
add_keys(Capture *capture, const CompatEntries *entries)
{
    for (Py_ssize_t i = 0; i < entries->count; i++) {
        if (compat_entry_value(entries, i) != NULL) {
            add_edge(capture, compat_entry_key(entries, i), label_of(ITEM, 0));
        }
    }
}

/* With `relabel` the labels of the values are only written anew, in the same order. */
static void
add_values(Capture *capture, PyDictObject *dict, int is_namespace, uint32_t *relabel)
{
    CompatEntries entries = compat_entries(dict->ma_keys);
    PyObject **split = compat_split_values(dict);
    int same_label = entries.only_strings && !is_namespace && !capture->facts.values;
    for (Py_ssize_t i = 0; i < entries.count; i++) {
        PyObject *value = split != NULL ? split[i] : compat_entry_value(&entries, i);
        if (value == NULL) {
            continue;
        }
        uint32_t label
            = same_label ? capture->label_string_key
                         : value_label(capture, compat_entry_key(&entries, i), is_namespace);
        if (relabel != NULL) {
            *relabel++ = label;
        }
        else {
            add_edge(capture, value, label);
        }
    }
}

static void
dict_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyDictObject *dict = (PyDictObject *)object;
    int names = is_namespace(capture, capture->index);
    (void)plan;
    add_length(capture, (uint64_t)dict->ma_used, NO_BOUND);
    if (compat_values_are_inline(dict)) {
        return; /* the instance refers to its values, and its class to the keys */
    }
    if (compat_split_values(dict) != NULL) {
        capture->size += compat_split_values_bytes(dict);
    }
    else if (dict->ma_keys->dk_nentries + dict->ma_keys->dk_usable > 0) {
        capture->size += compat_keys_bytes(dict->ma_keys);
    }
    if (compat_split_values(dict) == NULL) {
        CompatEntries entries = compat_entries(dict->ma_keys);
        add_keys(capture, &entries);
    }
    add_values(capture, dict, names, NULL);
}

void
relabel_dict(Capture *capture, PyObject *object, uint32_t *label)
{
    PyDictObject *dict = (PyDictObject *)object;
    if (!compat_values_are_inline(dict)) {
        add_values(capture, dict, 1, compat_split_values(dict) == NULL ? label + dict->ma_used : label);
    }
}

void
note_namespace(Capture *capture, PyObject *dict)
{
    if (dict == NULL || !PyDict_Check(dict)) {
        return;
    }
    uint32_t index = capture_index(capture, dict);
    if (capture->failed || is_namespace(capture, index)) {
        return;
    }
    mark_namespace(capture, index);
    if (ITEMS(capture->node_of, uint32_t)[index] != NODE_NONE) {
        /* Its edges are there already, with keys for names. */
        capture->failed |= push_u32(&capture->relabel, index) < 0;
    }
}

/* What a dict with plain string keys binds to a name, without asking any key for equality. */
PyObject *
namespace_get(PyObject *dict, const char *name)
{
    if (dict == NULL || !PyDict_Check(dict)) {
        return NULL;
    }
    CompatEntries entries = compat_entries(((PyDictObject *)dict)->ma_keys);
    PyObject **split = compat_split_values((PyDictObject *)dict);
    for (Py_ssize_t i = 0; i < entries.count; i++) {
        PyObject *key = compat_entry_key(&entries, i);
        PyObject *value = split != NULL ? split[i] : compat_entry_value(&entries, i);
        if (value != NULL && Py_TYPE(key) == &PyUnicode_Type && text_equals(key, name)) {
            return value;
        }
    }
    return NULL;
}

/* ---- plain values: no references, but bytes of their own ------------------------------------- */

static void
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
#if MEMLENS_MINOR <= 11
    if (text->wstr != NULL && (!text->state.ready || (void *)text->wstr != PyUnicode_DATA(object))) {
        capture->size += ((uint64_t)wide->wstr_length + 1) * sizeof(wchar_t);
    }
#endif
}

static void
int_content(Capture *capture, PyObject *object, const Plan *plan)
{
#if MEMLENS_MINOR >= 12
    uint64_t digits = ((PyLongObject *)object)->long_value.lv_tag >> 3;
#else
    Py_ssize_t length = Py_SIZE(object);
    uint64_t digits = (uint64_t)(length < 0 ? -length : length);
#endif
#if MEMLENS_MINOR >= 11
    digits += digits == 0; /* zero has room for a digit */
#endif
    capture->size += digits * sizeof(digit);
    if (plan->known == &PyBool_Type) { /* its structure includes a digit */
        capture->size -= (uint64_t)(PyBool_Type.tp_basicsize - PyLong_Type.tp_basicsize);
    }
}

static void
bytearray_content(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)plan;
    capture->size += (uint64_t)((PyByteArrayObject *)object)->ob_alloc;
}

Content
leaf_content(Capture *capture, PyTypeObject *type)
{
    (void)capture;
    if (type == &PyUnicode_Type) {
        return str_content;
    }
    if (type == &PyLong_Type || type == &PyBool_Type) {
        return int_content;
    }
    if (type == &PyByteArray_Type) {
        return bytearray_content;
    }
    if (type == &PyBaseObject_Type || type == &PyFloat_Type || type == &PyBytes_Type
        || type == &PyComplex_Type || type == Py_TYPE(Py_None) || type == Py_TYPE(Py_Ellipsis)
        || type == Py_TYPE(Py_NotImplemented)) {
        return refers_to_nothing;
    }
    return NULL;
}

Content
container_content(Capture *capture, PyTypeObject *type)
{
    (void)capture;
    return type == &PyList_Type                                  ? list_content
           : type == &PyTuple_Type                               ? tuple_content
           : type == &PyDict_Type                                ? dict_content
           : type == &PySet_Type || type == &PyFrozenSet_Type    ? set_content
                                                                 : NULL;
}

#endif
