/* What code holds: functions, code objects, cells, frames, generators, classes, modules. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/capture.h"

static void
add_named(Capture *capture, PyObject *target, const char *name)
{
    if (target != NULL) {
        add_edge(capture, target, text_label(capture, INTERNAL, name));
    }
}

/* ---- functions, code, cells ------------------------------------------------------------------ */

static uint32_t
string_of(Capture *capture, PyObject *text)
{
    uint32_t number = strings_add_object(&capture->strings, text);
    capture->failed |= number == UINT32_MAX;
    return number;
}

static PyObject *
code_name(PyCodeObject *code)
{
#if MEMLENS_MINOR >= 11
    return code->co_qualname;
#else
    return code->co_name;
#endif
}

static int
code_is_own(const Capture *capture, PyCodeObject *code)
{
    const char *prefix = capture->facts.own_prefix;
    return prefix[0] != '\0' && text_starts_with(code->co_filename, prefix);
}

static uint32_t
line_of(PyCodeObject *code)
{
    return code->co_firstlineno > 0 ? (uint32_t)code->co_firstlineno : 0;
}

static uint32_t
function_name(Capture *capture, PyFunctionObject *function)
{
    if (function->func_module == NULL || !PyUnicode_Check(function->func_module)) {
        return string_of(capture, function->func_qualname);
    }
    Buffer *text = &capture->text;
    text->size = 0;
    capture->failed |= append_utf8(text, function->func_module) < 0 || push_u8(text, '.') < 0
                       || append_utf8(text, function->func_qualname) < 0;
    uint32_t number = strings_add(&capture->strings, text->data, text->size);
    capture->failed |= number == UINT32_MAX;
    text->size = 0;
    return number;
}

static void
function_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyFunctionObject *function = (PyFunctionObject *)object;
    PyCodeObject *code = (PyCodeObject *)function->func_code;
    (void)plan;
    add_named(capture, function->func_code, "__code__");
    add_named(capture, function->func_globals, "__globals__");
    add_named(capture, function->func_builtins, "__builtins__");
    add_named(capture, function->func_module, "__module__");
    add_named(capture, function->func_defaults, "__defaults__");
    add_named(capture, function->func_kwdefaults, "__kwdefaults__");
    add_named(capture, function->func_doc, "__doc__");
    add_named(capture, function->func_name, "__name__");
    add_named(capture, function->func_qualname, "__qualname__");
    add_named(capture, function->func_annotations, "__annotations__");
#if MEMLENS_MINOR >= 12
    add_named(capture, function->func_typeparams, "__type_params__");
#endif
    if (function->func_dict != NULL) {
        note_namespace(capture, function->func_dict);
        add_edge(capture, function->func_dict, capture->label_dict);
    }
    if (function->func_closure != NULL) {
        uint32_t index = capture_index(capture, function->func_closure);
        add_named(capture, function->func_closure, "__closure__");
        capture->failed |= push_u64(&capture->closures, index) < 0
                           || push_u64(&capture->closures, (uint64_t)(uintptr_t)code) < 0;
    }
    if (module_is_own(capture, function->func_module)) {
        capture->flags |= FLAG_OWN;
    }
    add_name(capture, function_name(capture, function), string_of(capture, code->co_filename),
             line_of(code));
}

static void
code_object_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyCodeObject *code = (PyCodeObject *)object;
    (void)plan; /* not of 3.10 */
    add_named(capture, code->co_consts, "co_consts");
    if (code->co_names != NULL) {
        capture->failed |= push_u32(&capture->mentions, capture_index(capture, code->co_names)) < 0;
        add_named(capture, code->co_names, "co_names");
    }
    add_named(capture, code->co_filename, "co_filename");
    add_named(capture, code->co_name, "co_name");
    add_named(capture, code->co_linetable, "co_linetable");
#if MEMLENS_MINOR == 10
    add_named(capture, code->co_code, "co_code");
    add_named(capture, code->co_varnames, "co_varnames");
    add_named(capture, code->co_freevars, "co_freevars");
    add_named(capture, code->co_cellvars, "co_cellvars");
#else
    add_named(capture, code->co_qualname, "co_qualname");
    add_named(capture, code->co_exceptiontable, "co_exceptiontable");
    add_named(capture, code->co_localsplusnames, "co_localsplusnames");
    add_named(capture, code->co_localspluskinds, "co_localspluskinds");
    capture->size = _PyObject_VAR_SIZE(plan->type, Py_SIZE(code));
#if MEMLENS_MINOR == 11
    add_named(capture, code->_co_code, "co_code");
#else
    if (code->_co_cached != NULL) {
        capture->size += sizeof(*code->_co_cached);
        add_named(capture, code->_co_cached->_co_code, "co_code");
        add_named(capture, code->_co_cached->_co_varnames, "co_varnames");
        add_named(capture, code->_co_cached->_co_cellvars, "co_cellvars");
        add_named(capture, code->_co_cached->_co_freevars, "co_freevars");
    }
#endif
#endif
    if (code_is_own(capture, code)) {
        capture->flags |= FLAG_OWN;
    }
    add_name(capture, string_of(capture, code_name(code)), string_of(capture, code->co_filename),
             line_of(code));
}

static void
cell_content(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)plan;
    add_optional_edge(capture, ((PyCellObject *)object)->ob_ref, capture->label_contents);
}

static void
method_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyMethodObject *method = (PyMethodObject *)object;
    (void)plan;
    add_named(capture, method->im_func, "__func__");
    add_named(capture, method->im_self, "__self__");
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* The name of a frame's slot, or NULL for what lies on its evaluation stack. */
PyObject *
local_name(PyCodeObject *code, int slot)
{
#if MEMLENS_MINOR >= 11
    return slot < code->co_nlocalsplus ? PyTuple_GET_ITEM(code->co_localsplusnames, slot) : NULL;
#else
    PyObject *groups[] = {code->co_varnames, code->co_cellvars, code->co_freevars};
    for (int i = 0; i < 3; i++) {
        Py_ssize_t count = PyTuple_GET_SIZE(groups[i]);
        if (slot < count) {
            return PyTuple_GET_ITEM(groups[i], slot);
        }
        slot -= (int)count;
    }
    return NULL;
#endif
}

void
add_locals(Capture *capture, CompatFrame *frame, PyCodeObject *code)
{
    PyObject **held = compat_frame_locals(frame);
    int count = compat_frame_stored(frame, code);
    for (int slot = 0; slot < count; slot++) {
        if (held[slot] != NULL) {
            PyObject *name = local_name(code, slot);
            add_edge(capture, held[slot],
                     name == NULL ? label_of(INTERNAL, 0) : named_label(capture, LOCAL, name));
        }
    }
}

#if MEMLENS_MINOR >= 11
/* What belongs to the structure of a frame. */
static void
add_frame_fields(Capture *capture, CompatFrame *frame)
{
    PyCodeObject *code = compat_frame_code(frame);
    add_named(capture, compat_frame_function(frame), "f_func");
    add_named(capture, (PyObject *)code, "f_code");
    add_named(capture, frame->f_locals, "f_locals");
}

static size_t
frame_bytes(PyCodeObject *code)
{
    return offsetof(CompatFrame, localsplus)
           + (size_t)(code->co_nlocalsplus + code->co_stacksize) * sizeof(PyObject *);
}

static void
frame_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyFrameObject *frame = (PyFrameObject *)object;
    CompatFrame *inner = frame->f_frame;
    (void)plan;
    if (frame_is_hidden(capture, object)) {
        capture->flags |= FLAG_OWN;
        return;
    }
    add_named(capture, (PyObject *)frame->f_back, "f_back");
    add_named(capture, frame->f_trace, "f_trace");
#if MEMLENS_MINOR >= 13
    add_named(capture, frame->f_extra_locals, "f_extra_locals");
    add_named(capture, frame->f_locals_cache, "f_locals_cache");
#endif
    PyCodeObject *code = compat_frame_code(inner);
    if (code == NULL) {
        return;
    }
    if (inner->owner != FRAME_OWNED_BY_GENERATOR) {
        add_frame_fields(capture, inner);
        add_locals(capture, inner, code);
    }
    else if (compat_generator_is_running(compat_frame_generator(inner))) {
        add_locals(capture, inner, code); /* while it runs, the generator does not show them */
    }
    if (inner->owner == FRAME_OWNED_BY_FRAME_OBJECT) {
        capture->size += frame_bytes(code); /* it runs no more, and its memory is the object's */
    }
}

static void
generator_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyGenObject *generator = (PyGenObject *)object;
    CompatFrame *frame = compat_generator_frame(generator);
    (void)plan;
    add_named(capture, generator->gi_name, "__name__");
    add_named(capture, generator->gi_qualname, "__qualname__");
    add_named(capture, generator->gi_exc_state.exc_value, "exc_value");
    if (Py_TYPE(object) != &PyGen_Type) { /* generators share the field but never fill it */
        add_named(capture, generator->gi_origin_or_finalizer, "origin_or_finalizer");
    }
#if MEMLENS_MINOR == 11
    add_named(capture, (PyObject *)generator->gi_code, "gi_code");
#endif
    PyCodeObject *code = NULL;
    if (frame != NULL) {
        code = compat_frame_code(frame);
        add_frame_fields(capture, frame);
        add_named(capture, compat_frame_object(frame), "gi_frame");
        if (code != NULL && !compat_generator_is_running(generator)) {
            add_locals(capture, frame, code);
        }
    }
    else {
        capture->flags |= FLAG_FINISHED;
#if MEMLENS_MINOR == 11
        code = generator->gi_code;
#endif
    }
    if (code != NULL) {
        capture->size += offsetof(PyGenObject, gi_iframe) + frame_bytes(code)
                         - (size_t)plan->type->tp_basicsize;
    }
}

#else

static void
frame_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyFrameObject *frame = (PyFrameObject *)object;
    (void)plan;
    if (frame_is_hidden(capture, object)) {
        capture->flags |= FLAG_OWN;
        return;
    }
    add_named(capture, (PyObject *)frame->f_back, "f_back");
    add_named(capture, (PyObject *)frame->f_code, "f_code");
    add_named(capture, frame->f_builtins, "f_builtins");
    add_named(capture, frame->f_globals, "f_globals");
    add_named(capture, frame->f_locals, "f_locals");
    add_named(capture, frame->f_trace, "f_trace");
    add_locals(capture, frame, frame->f_code);
}

static void
generator_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyGenObject *generator = (PyGenObject *)object;
    (void)plan;
    add_named(capture, generator->gi_name, "__name__");
    add_named(capture, generator->gi_qualname, "__qualname__");
    add_named(capture, generator->gi_code, "gi_code");
    add_named(capture, (PyObject *)generator->gi_frame, "gi_frame");
    add_named(capture, generator->gi_exc_state.exc_type, "exc_type");
    add_named(capture, generator->gi_exc_state.exc_value, "exc_value");
    add_named(capture, generator->gi_exc_state.exc_traceback, "exc_traceback");
    if (Py_TYPE(object) == &PyCoro_Type) {
        add_named(capture, ((PyCoroObject *)object)->cr_origin, "origin_or_finalizer");
    }
    else if (Py_TYPE(object) == &PyAsyncGen_Type) {
        add_named(capture, ((PyAsyncGenObject *)object)->ag_finalizer, "origin_or_finalizer");
    }
    if (generator->gi_frame == NULL) {
        capture->flags |= FLAG_FINISHED;
    }
}

#endif

/* ---- classes --------------------------------------------------------------------------------- */

static PyObject *
held_base(PyTypeObject *type)
{
    return (PyObject *)type->tp_base;
}

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

static void
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
    add_named(capture, held_base(type), "__base__");
    add_named(capture, type->tp_cache, "tp_cache");
#if MEMLENS_MINOR >= 12
    if (!(type->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN)) { /* there it is no pointer */
        add_named(capture, type->tp_subclasses, "__subclasses__");
    }
#else
    add_named(capture, type->tp_subclasses, "__subclasses__");
#endif
    if (!is_heap_type) {
        capture->size = sizeof(PyTypeObject);
        add_name(capture, strings_add_text(&capture->strings, type->tp_name), 0, 0);
        return;
    }
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

/* ---- modules --------------------------------------------------------------------------------- */

enum { MOST_STATE = 1 << 20 };

/* Some modules show their list of freed objects, which must not be read (_asyncio of 3.12). Asking
 * for the referents of such a module from Python frees them once more, and makes that list endless:
 * then no more than so many are taken. */
static int
add_module_state(PyObject *target, void *arg)
{
    Capture *capture = arg;
    if (is_alive(target)) {
        add_edge(capture, target, label_of(INTERNAL, 0));
    }
    return capture->failed || ++capture->state_count > MOST_STATE;
}

static void
module_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyModuleObject *module = (PyModuleObject *)object;
    struct PyModuleDef *def = module->md_def;
    PyObject *file = NULL, *name = module->md_name;
    (void)plan;
    note_namespace(capture, module->md_dict);
    add_optional_edge(capture, module->md_dict, capture->label_dict);
    add_named(capture, module->md_name, "__name__");
    if (def != NULL && def->m_size > 0 && module->md_state != NULL) {
        capture->size += (uint64_t)def->m_size;
    }
    if (def != NULL && def->m_traverse != NULL && (def->m_size <= 0 || module->md_state != NULL)) {
        capture->state_count = 0;
        def->m_traverse(object, add_module_state, capture);
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

static void
weakref_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyWeakReference *reference = (PyWeakReference *)object;
    PyObject *target = reference->wr_object;
    (void)plan;
    if (target != NULL && target != Py_None && is_alive(target)) {
        add_edge(capture, target, label_of(WEAK, 0));
    }
    add_optional_edge(capture, reference->wr_callback, capture->label_callback);
}

Content
code_content(Capture *capture, PyTypeObject *type)
{
    static const struct {
        PyTypeObject *type;
        Content content;
    } known[] = {
        {&PyFunction_Type, function_content},     {&PyCode_Type, code_object_content},
        {&PyCell_Type, cell_content},             {&PyMethod_Type, method_content},
        {&PyFrame_Type, frame_content},           {&PyGen_Type, generator_content},
        {&PyCoro_Type, generator_content},        {&PyAsyncGen_Type, generator_content},
        {&PyType_Type, type_content},             {&PyModule_Type, module_content},
        {&_PyWeakref_RefType, weakref_content},   {&_PyWeakref_ProxyType, weakref_content},
        {&_PyWeakref_CallableProxyType, weakref_content},
    };
    (void)capture;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].type == type) {
            return known[i].content;
        }
    }
    return NULL;
}

#endif
