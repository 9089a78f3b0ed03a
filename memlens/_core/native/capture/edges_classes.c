/* What classes and modules hold. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_classes.h"
#include "base/lookup.h"
#include "capture/names.h"

/* The names of shared keys belong to the class: its instances only have the values. */
static void
add_shared_keys(Capture *capture, PyTypeObject *type)
{
    CompatKeys *keys = ((PyHeapTypeObject *)type)->ht_cached_keys;
    if (keys == NULL) {
        return;
    }
    CompatEntries entries = compat_entries(keys);
    capture->size += compat_keys_bytes(keys);
    for (Py_ssize_t i = 0; i < entries.count; i++) {
        add_optional_edge(capture, compat_entry_key(&entries, i), label_of(ITEM, 0));
    }
}

static void
name_class(Capture *capture, PyTypeObject *type, PyObject *dict)
{
    uint32_t module = string_of(capture, type_module(type)), file = 0, line = 0;
    if (module < COUNT(capture->module_files, uint32_t)) {
        file = ITEMS(capture->module_files, uint32_t)[module];
    }
    PyObject *first = dict == NULL ? NULL : namespace_get(dict, "__firstlineno__");
    if (first != NULL && PyLong_CheckExact(first)) {
        int overflow;
        long value = PyLong_AsLongAndOverflow(first, &overflow);
        line = value > 0 && value < INT32_MAX ? (uint32_t)value : 0;
    }
    add_name(capture, type_name(capture, type), file, line);
}

/* What a class that is made at run time has in addition to a static one. */
static void
read_heap_type(Capture *capture, PyTypeObject *type, PyObject *dict)
{
    PyHeapTypeObject *heap = (PyHeapTypeObject *)type;
    capture->flags |= FLAG_HEAP_TYPE;
    capture->size += sizeof(PyGC_Head) + (uint64_t)Py_SIZE(type) * sizeof(PyMemberDef);
    add_named(capture, heap->ht_name, "__name__");
    add_named(capture, heap->ht_qualname, "__qualname__");
    add_named(capture, heap->ht_slots, "__slots__");
    add_named(capture, heap->ht_module, "ht_module");
    add_shared_keys(capture, type);
    if (type_is_own(capture, type)) {
        capture->flags |= FLAG_OWN;
    }
    name_class(capture, type, dict);
}

void
type_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyTypeObject *type = (PyTypeObject *)object;
    int is_heap_type = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
    PyObject *dict = compat_type_dict(type);
    (void)plan;
    note_namespace(capture, dict);
    add_optional_edge(capture, dict, capture->label_dict);
    add_named(capture, type->tp_mro, "__mro__");
    add_named(capture, type->tp_bases, "__bases__");
    add_named(capture, (PyObject *)type->tp_base, "__base__");
    add_named(capture, type->tp_cache, "tp_cache");
    add_named(capture, compat_type_subclasses(type), "__subclasses__");
    if (!is_heap_type) {
        capture->size = sizeof(PyTypeObject);
        add_name(capture, strings_add_text(&capture->strings, type->tp_name), 0, 0);
        return;
    }
    read_heap_type(capture, type, dict);
}

enum { MOST_STATE = 1 << 20 };

/* Some modules show their list of freed objects, which must not be read (_asyncio of 3.12).
 * gc.get_referents() of such a module frees them a second time, which makes that list endless;
 * hence the limit. */
static int
add_module_state(PyObject *target, void *arg)
{
    Capture *capture = arg;
    if (is_alive(target)) {
        add_edge(capture, target, label_of(INTERNAL, 0));
    }
    return capture->failed || ++capture->state_count > MOST_STATE;
}

void
module_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyModuleObject *module = (PyModuleObject *)object;
    CompatModuleState state = compat_module_state(module);
    PyObject *file = NULL, *name = module->md_name;
    (void)plan;
    note_namespace(capture, module->md_dict);
    add_optional_edge(capture, module->md_dict, capture->label_dict);
    add_named(capture, module->md_name, "__name__");
    if (state.size > 0 && module->md_state != NULL) {
        capture->size += (uint64_t)state.size;
    }
    if (state.traverse != NULL && (state.size <= 0 || module->md_state != NULL)) {
        capture->state_count = 0;
        state.traverse(object, add_module_state, capture);
    }
    if (module->md_dict != NULL) {
        PyObject *given = namespace_get(module->md_dict, "__name__");
        name = given == NULL ? name : given;
        file = namespace_get(module->md_dict, "__file__");
    }
    if (module_is_own(capture, name)) {
        capture->flags |= FLAG_OWN;
    }
    add_name(capture, string_of(capture, name), string_of(capture, file), 0);
}

#endif
