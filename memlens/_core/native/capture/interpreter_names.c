/* Names for objects that the interpreter holds in places that Python code cannot see. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/interpreter_names.h"
#include "base/lookup.h"
#include "base/text.h"

static int
is_saved_copy(const Capture *capture, PyObject *dict)
{
    /* A module that can be imported again without running its C code keeps a copy of its names. */
    PyObject *name = namespace_get(dict, "__name__");
    PyObject *modules = capture->facts.modules;
    if (name == NULL || !PyUnicode_CheckExact(name) || !PyDict_Check(modules)) {
        return 0;
    }
    CompatEntries entries = compat_entries(((PyDictObject *)modules)->ma_keys);
    for (Py_ssize_t i = 0; i < entries.count; i++) {
        PyObject *key = compat_entry_key(&entries, i), *module = compat_entry_value(&entries, i);
        if (module != NULL && PyUnicode_CheckExact(key) && PyUnicode_Compare(key, name) == 0) {
            return PyModule_Check(module) && ((PyModuleObject *)module)->md_dict != dict;
        }
    }
    return 0;
}

static const char *
name_of_list(const Capture *capture, PyObject *list)
{
    PyObject **items = ((PyListObject *)list)->ob_item;
    if (Py_SIZE(list) > 1 && items[1] == capture->facts.sys_module) {
        return "modules by index";
    }
    for (Py_ssize_t i = 0; i < Py_SIZE(list); i++) {
        if (items[i] == NULL || !PyFunction_Check(items[i])
            || !text_equals(((PyFunctionObject *)items[i])->func_name, "search_function")) {
            return NULL;
        }
    }
    return "codec search path";
}

static int
is_table_of_interned(const CompatEntries *entries)
{
    /* The garbage collector tracks it from 3.14 on: every string is its own value. */
    int found = 0;
    for (Py_ssize_t i = 0; i < entries->count; i++) {
        PyObject *key = compat_entry_key(entries, i), *value = compat_entry_value(entries, i);
        if (value == NULL) {
            continue;
        }
        if (key != value || !PyUnicode_CheckExact(key) || !PyUnicode_CHECK_INTERNED(key)) {
            return 0;
        }
        found = 1;
    }
    return found;
}

static const char *
name_of_dict(const Capture *capture, PyObject *dict)
{
    CompatEntries entries = compat_entries(((PyDictObject *)dict)->ma_keys);
    PyObject *key = NULL, *value = NULL;
    for (Py_ssize_t i = 0; i < entries.count && value == NULL; i++) {
        key = compat_entry_key(&entries, i);
        value = compat_entry_value(&entries, i);
    }
    if (value == NULL || key == NULL || !PyUnicode_CheckExact(key)) {
        return NULL;
    }
    if (key == value && is_table_of_interned(&entries)) {
        return "interned strings";
    }
    if (text_equals(key, "strict") && PyCFunction_Check(value)) {
        return "codec error handlers";
    }
    if (strcmp(Py_TYPE(value)->tp_name, "CodecInfo") == 0) {
        return "codec cache";
    }
    if (text_starts_with(key, "thread.local.") || text_equals(key, "Py_Repr")) {
        return "thread-local storage";
    }
    return text_equals(key, "__name__") && is_saved_copy(capture, dict) ? "saved copy of a module"
                                                                       : NULL;
}

static const char *
name_by_content(const Capture *capture, PyObject *object)
{
    if (Py_TYPE(object) == &PyList_Type) {
        return Py_SIZE(object) > 0 ? name_of_list(capture, object) : NULL;
    }
    if (Py_TYPE(object) == &PyDict_Type && ((PyDictObject *)object)->ma_used != 0
        && ((PyDictObject *)object)->ma_keys != NULL
        && compat_split_values((PyDictObject *)object) == NULL) {
        return name_of_dict(capture, object);
    }
    return NULL;
}

void
find_interpreter_names(const Capture *capture, InterpreterNames *names)
{
    const Facts *facts = &capture->facts;
    *names = (InterpreterNames){{
        {facts->sys_dict, "sys.__dict__"},
        {namespace_get(facts->sys_dict, "lazy_modules"), "sys.lazy_modules"},
        {facts->builtins, "builtins.__dict__"},
        {namespace_get(facts->builtins, "__import__"), "builtins.__import__"},
        {namespace_get(facts->modules, "_frozen_importlib"), "importlib"},
        {namespace_get(facts->modules, "__main__"), "__main__"},
        {namespace_get(facts->warnings_dict, "filters"), "warnings.filters"},
        {namespace_get(facts->warnings_dict, "_onceregistry"), "warnings.onceregistry"},
        {namespace_get(facts->warnings_dict, "_defaultaction"), "warnings.defaultaction"},
    }};
}

const char *
interpreter_name(const Capture *capture, const InterpreterNames *names, PyObject *object)
{
    for (int i = 0; i < INTERPRETER_OBJECTS; i++) {
        if (names->known[i].object == object) {
            return names->known[i].name;
        }
    }
    return name_by_content(capture, object);
}

#endif
