/* Roots that have a name: modules, running frames, and what the interpreter holds. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/named_roots.h"
#include "base/lookup.h"
#include "capture/frame_roots.h"

static void
add_interpreter_root(Capture *capture, PyObject *object, const char *name)
{
    if (object != NULL && object != Py_None) {
        add_root(capture, object, ROOT_INTERPRETER, strings_add_text(&capture->strings, name),
                 NODE_NONE, 1);
    }
}

/* Remember the file of each module, which the rows of its classes name. */
static void
note_module_file(Capture *capture, uint32_t name, PyObject *module)
{
    PyObject *file = PyModule_Check(module)
                         ? namespace_get(((PyModuleObject *)module)->md_dict, "__file__")
                         : NULL;
    uint32_t text = strings_add_object(&capture->strings, file);
    while (!capture->failed && COUNT(capture->module_files, uint32_t) <= name) {
        capture->failed |= push_u32(&capture->module_files, 0) < 0;
    }
    if (!capture->failed) {
        ITEMS(capture->module_files, uint32_t)[name] = text;
    }
}

static void
add_modules(Capture *capture)
{
    PyObject *modules = capture->facts.modules;
    if (modules == NULL || !PyDict_Check(modules)) {
        return;
    }
    CompatEntries entries = compat_entries(((PyDictObject *)modules)->ma_keys);
    for (Py_ssize_t i = 0; i < entries.count; i++) {
        PyObject *name = compat_entry_key(&entries, i), *module = compat_entry_value(&entries, i);
        if (module == NULL || name == NULL || !PyUnicode_CheckExact(name)) {
            continue;
        }
        uint32_t number = strings_add_object(&capture->strings, name);
        /* Not counted: the dict sys.modules is a node with an edge to the module, and that edge
         * explains the reference. */
        add_root(capture, module, ROOT_MODULE, number, NODE_NONE, 0);
        note_module_file(capture, number, module);
        if (PyModule_Check(module)) { /* before a function's globals lead there */
            note_namespace(capture, ((PyModuleObject *)module)->md_dict);
        }
    }
}

static void
add_thread_state(Capture *capture, PyThreadState *thread)
{
    char name[64];
    add_interpreter_root(capture, thread->dict, "thread state");
    add_interpreter_root(capture, thread->context, "context of a thread");
    add_interpreter_root(capture, thread->async_gen_firstiter, "sys.set_asyncgen_hooks");
    add_interpreter_root(capture, thread->async_gen_finalizer, "sys.set_asyncgen_hooks");
    add_interpreter_root(capture, thread->c_traceobj, "sys.settrace");
    add_interpreter_root(capture, thread->c_profileobj, "sys.setprofile");
    add_interpreter_root(capture, thread->async_exc, "exception sent to a thread");
    snprintf(name, sizeof name, "exception that thread %lu handles", thread->thread_id);
    PyObject *parts[COMPAT_MOST_EXCEPTION_PARTS];
    int count = compat_handled_exception(thread, parts);
    for (int i = 0; i < count; i++) {
        add_interpreter_root(capture, parts[i], name);
    }
    count = compat_raised_exception(thread, parts);
    for (int i = 0; i < count; i++) {
        add_interpreter_root(capture, parts[i], "exception being raised");
    }
}

/* The callbacks of atexit. Where they are a list, it is a root, and its edges give the positions. */
static void
add_exit_callbacks(Capture *capture)
{
    PyInterpreterState *interpreter = capture->facts.thread->interp;
    static const char *const parts_of[3] = {"", ".args", ".kwargs"};
    add_interpreter_root(capture, compat_atexit_list(interpreter), "atexit");
    int count = compat_atexit_count(interpreter);
    for (int place = 0; place < count && !capture->failed; place++) {
        PyObject *parts[3];
        compat_atexit_callback(interpreter, place, parts);
        for (int part = 0; part < 3; part++) {
            char name[48];
            snprintf(name, sizeof name, "atexit[%d]%s", place, parts_of[part]);
            if (parts[part] != NULL && !(part == 1 && PyTuple_GET_SIZE(parts[part]) == 0)) {
                add_interpreter_root(capture, parts[part], name);
            }
        }
    }
}

void
find_named_roots(Capture *capture)
{
    add_modules(capture);
    PyThreadState *first = capture->facts.first_thread;
    for (PyThreadState *thread = first; thread != NULL; thread = PyThreadState_Next(thread)) {
        add_frames_of(capture, thread);
    }
    add_interpreter_root(capture, capture->facts.modules, "sys.modules");
    add_interpreter_root(capture, namespace_get(capture->facts.gc_dict, "garbage"), "gc.garbage");
    add_interpreter_root(capture, namespace_get(capture->facts.gc_dict, "callbacks"), "gc.callbacks");
    add_exit_callbacks(capture);
    for (int number = 1; number < 65; number++) {
        char name[32];
        snprintf(name, sizeof name, "handler of signal %d", number);
        add_interpreter_root(capture, capture->facts.signal_handlers[number], name);
    }
    for (PyThreadState *thread = first; thread != NULL; thread = PyThreadState_Next(thread)) {
        add_thread_state(capture, thread);
    }
}

#endif
