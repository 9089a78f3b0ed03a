/* What dicts hold, and how it is called. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_dicts.h"
#include "base/text.h"
#include "capture/values.h"

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
    if (key == NULL) {
        return label_of(KEY, 0);
    }
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
    if (is_namespace && key != NULL && Py_TYPE(key) == &PyUnicode_Type) {
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
            add_optional_edge(capture, compat_entry_key(entries, i), label_of(ITEM, 0));
        }
    }
}

/* With `relabel`, only write the labels of the values again, in the same order. */
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

void
dict_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyDictObject *dict = (PyDictObject *)object;
    int names = is_namespace(capture, capture->index);
    (void)plan;
    add_length(capture, (uint64_t)dict->ma_used, NO_BOUND);
    if (dict->ma_keys == NULL || compat_values_are_inline(dict)) {
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
    if (dict->ma_keys != NULL && !compat_values_are_inline(dict)) {
        add_values(capture, dict, 1, compat_split_values(dict) == NULL ? label + dict->ma_used : label);
    }
}

#endif
