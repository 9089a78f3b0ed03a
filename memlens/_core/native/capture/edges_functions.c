/* What functions, code objects, cells, bound methods and weak references hold. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_functions.h"
#include "base/text.h"
#include "capture/names.h"

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

void
function_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyFunctionObject *function = (PyFunctionObject *)object;
    PyCodeObject *code = (PyCodeObject *)function->func_code;
    (void)plan;
    add_named(capture, function->func_code, "__code__");
    add_named(capture, function->func_globals, "__globals__");
    if (function->func_globals != NULL && PyDict_CheckExact(function->func_globals)) {
        note_namespace(capture, function->func_globals); /* of no module where code was run by exec */
    }
    add_named(capture, function->func_builtins, "__builtins__");
    add_named(capture, function->func_module, "__module__");
    add_named(capture, function->func_defaults, "__defaults__");
    add_named(capture, function->func_kwdefaults, "__kwdefaults__");
    add_named(capture, function->func_doc, "__doc__");
    add_named(capture, function->func_name, "__name__");
    add_named(capture, function->func_qualname, "__qualname__");
    add_named(capture, function->func_annotations, "__annotations__");
    add_named(capture, compat_function_annotate(function), "__annotate__");
    add_named(capture, compat_function_type_params(function), "__type_params__");
    if (function->func_dict != NULL) {
        note_namespace(capture, function->func_dict);
        add_edge(capture, function->func_dict, capture->label_dict);
    }
    if (function->func_closure != NULL && code != NULL) {
        uint32_t index = capture_index(capture, function->func_closure);
        add_named(capture, function->func_closure, "__closure__");
        capture->failed |= push_u64(&capture->closures, index) < 0
                           || push_u64(&capture->closures, (uint64_t)(uintptr_t)code) < 0;
    }
    if (module_is_own(capture, function->func_module)) {
        capture->flags |= FLAG_OWN;
    }
    if (code == NULL) { /* the collector has taken it away */
        add_name(capture, function_name(capture, function), 0, 0);
        return;
    }
    add_name(capture, function_name(capture, function), string_of(capture, code->co_filename),
             line_of(code));
}

void
code_object_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyCodeObject *code = (PyCodeObject *)object;
    CompatNamed fields[COMPAT_MOST_CODE_FIELDS];
    add_named(capture, code->co_consts, "co_consts");
    if (code->co_names != NULL) {
        capture->failed |= push_u32(&capture->mentions, capture_index(capture, code->co_names)) < 0;
        add_named(capture, code->co_names, "co_names");
    }
    add_named(capture, code->co_filename, "co_filename");
    add_named(capture, code->co_name, "co_name");
    add_named(capture, code->co_linetable, "co_linetable");
    add_all_named(capture, fields, compat_code_fields(code, fields));
    capture->size = compat_code_bytes(code, plan->type);
    if (code_is_own(capture, code)) {
        capture->flags |= FLAG_OWN;
    }
    add_name(capture, string_of(capture, compat_code_name(code)), string_of(capture, code->co_filename),
             line_of(code));
}

void
cell_content(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)plan;
    add_optional_edge(capture, ((PyCellObject *)object)->ob_ref, capture->label_contents);
}

void
method_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyMethodObject *method = (PyMethodObject *)object;
    (void)plan;
    add_named(capture, method->im_func, "__func__");
    add_named(capture, method->im_self, "__self__");
}

void
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

#endif
