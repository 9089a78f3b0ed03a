/* Why objects are alive: what has a name first, then what reference counts say beyond that. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/capture.h"

/* ---- named roots ----------------------------------------------------------------------------- */

static void
add_root(Capture *capture, PyObject *object, int kind, uint32_t name, uint32_t frame, int counted)
{
    Root root = {0, name, frame, (uint8_t)kind, (uint8_t)counted};
    if (object == NULL) {
        return;
    }
    root.index = capture_index(capture, object);
    if (buffer_reserve(&capture->roots, sizeof root) < 0) {
        capture->failed = 1;
        return;
    }
    memcpy(capture->roots.data + capture->roots.size, &root, sizeof root);
    capture->roots.size += sizeof root;
}

static void
add_interpreter_root(Capture *capture, PyObject *object, const char *name)
{
    if (object != NULL && object != Py_None) {
        add_root(capture, object, ROOT_INTERPRETER, strings_add_text(&capture->strings, name),
                 NODE_NONE, 1);
    }
}

/* Note where the module of each name is defined: classes want to know. */
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
        if (module == NULL || !PyUnicode_CheckExact(name)) {
            continue;
        }
        uint32_t number = strings_add_object(&capture->strings, name);
        /* The dict sys.modules is an object too, and refers to the module: that is the reference
         * which counts. */
        add_root(capture, module, ROOT_MODULE, number, NODE_NONE, 0);
        note_module_file(capture, number, module);
        if (PyModule_Check(module)) { /* before a function's globals lead there */
            note_namespace(capture, ((PyModuleObject *)module)->md_dict);
        }
    }
}

/* ---- running frames -------------------------------------------------------------------------- */

int
frame_is_hidden(const Capture *capture, PyObject *frame)
{
    PyObject **hidden = ITEMS(capture->hidden_frames, PyObject *);
    for (size_t i = 0; i < COUNT(capture->hidden_frames, PyObject *); i++) {
        if (hidden[i] == frame) {
            return 1;
        }
    }
    return 0;
}

static void
hide_reference(Capture *capture, PyObject *object)
{
    if (object != NULL) {
        uint32_t index = capture_index(capture, object);
        capture->failed |= push_u32(&capture->hidden, index) < 0;
    }
}

/* A frame of memlens itself: what it holds is held by nothing that anybody should see. */
static void
hide_frame(Capture *capture, CompatFrame *frame, PyCodeObject *code)
{
    PyObject *object = compat_frame_object(frame);
    if (object != NULL) {
        if (buffer_reserve(&capture->hidden_frames, sizeof object) < 0) {
            capture->failed = 1;
            return;
        }
        memcpy(capture->hidden_frames.data + capture->hidden_frames.size, &object, sizeof object);
        capture->hidden_frames.size += sizeof object;
    }
    hide_reference(capture, (PyObject *)code);
    hide_reference(capture, compat_frame_function(frame));
    hide_reference(capture, frame->f_locals);
#if MEMLENS_MINOR == 10
    hide_reference(capture, frame->f_globals);
    hide_reference(capture, frame->f_builtins);
    hide_reference(capture, (PyObject *)frame->f_back);
    hide_reference(capture, object);
#endif
    PyObject **held = compat_frame_locals(frame);
    int count = compat_frame_stored(frame, code);
    for (int slot = 0; slot < count; slot++) {
        hide_reference(capture, held[slot]);
    }
}

static void
add_frame(Capture *capture, CompatFrame *frame, PyCodeObject *code, uint64_t thread, uint32_t depth)
{
    int line = PyCode_Addr2Line(code, compat_frame_instruction(frame, code));
#if MEMLENS_MINOR >= 11
    PyObject *name = code->co_qualname;
#else
    PyObject *name = code->co_name;
#endif
    FrameRow row = {thread, strings_add_object(&capture->strings, name),
                    strings_add_object(&capture->strings, code->co_filename),
                    line > 0 ? (uint32_t)line : 0, depth};
    uint32_t number = (uint32_t)COUNT(capture->frames, FrameRow);
    if (buffer_reserve(&capture->frames, sizeof row) < 0) {
        capture->failed = 1;
        return;
    }
    memcpy(capture->frames.data + capture->frames.size, &row, sizeof row);
    capture->frames.size += sizeof row;
    /* Running holds the frame, but a generator's frame belongs to the generator. */
    add_root(capture, compat_frame_object(frame), ROOT_FRAME, row.function, number,
             !compat_is_generator_frame(frame));
}

static void
add_frames_of(Capture *capture, PyThreadState *thread)
{
    int skip = thread == capture->facts.thread ? capture->facts.skip_frames : 0;
    uint32_t depth = 0;
    for (CompatFrame *frame = compat_top_frame(thread); frame != NULL && !capture->failed;
         frame = compat_previous_frame(frame)) {
        PyCodeObject *code = compat_frame_code(frame);
        const char *prefix = capture->facts.own_prefix;
        if (code == NULL) {
            continue;
        }
        if (prefix[0] != '\0' && text_starts_with(code->co_filename, prefix)) {
            hide_frame(capture, frame, code);
        }
        else if (skip > 0) {
            skip--;
            hide_frame(capture, frame, code);
        }
        else {
            add_frame(capture, frame, code, thread->thread_id, depth++);
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
    /* The bottom of the stack of handled exceptions; the others belong to generators. */
    add_interpreter_root(capture, thread->exc_state.exc_value, name);
#if MEMLENS_MINOR == 10
    add_interpreter_root(capture, thread->exc_state.exc_type, name);
    add_interpreter_root(capture, thread->exc_state.exc_traceback, name);
#endif
#if MEMLENS_MINOR >= 12
    add_interpreter_root(capture, thread->current_exception, "exception being raised");
#else
    add_interpreter_root(capture, thread->curexc_type, "exception being raised");
    add_interpreter_root(capture, thread->curexc_value, "exception being raised");
    add_interpreter_root(capture, thread->curexc_traceback, "exception being raised");
#endif
}

void
find_named_roots(Capture *capture)
{
    add_modules(capture);
    PyThreadState *first = PyInterpreterState_ThreadHead(capture->facts.thread->interp);
    for (PyThreadState *thread = first; thread != NULL; thread = PyThreadState_Next(thread)) {
        add_frames_of(capture, thread);
    }
    add_interpreter_root(capture, capture->facts.modules, "sys.modules");
    add_interpreter_root(capture, namespace_get(capture->facts.gc_dict, "garbage"), "gc.garbage");
    add_interpreter_root(capture, namespace_get(capture->facts.gc_dict, "callbacks"), "gc.callbacks");
    for (int number = 1; number < 65; number++) {
        char name[32];
        snprintf(name, sizeof name, "handler of signal %d", number);
        add_interpreter_root(capture, capture->facts.signal_handlers[number], name);
    }
    for (PyThreadState *thread = first; thread != NULL; thread = PyThreadState_Next(thread)) {
        add_thread_state(capture, thread);
    }
}

/* ---- what the collector knows ---------------------------------------------------------------- */

static void
walk_list(Capture *capture, PyGC_Head *head)
{
    /* The lowest bits of the links carry marks while the collector runs. */
    for (uintptr_t at = head->_gc_next & ~(uintptr_t)3; at != (uintptr_t)head && !capture->failed;
         at = ((PyGC_Head *)at)->_gc_next & ~(uintptr_t)3) {
        PyObject *object = (PyObject *)((PyGC_Head *)at + 1);
        capture_walk(capture, capture_index(capture, object));
    }
}

/* The lists are read in place: to ask the collector for its objects would count a reference to each
 * of them, and so copy every page of a forked child. */
void
walk_collector_lists(Capture *capture)
{
    struct gc_generation *generations = capture->facts.generations;
    if (generations == NULL) {
        return;
    }
    for (int i = NUM_GENERATIONS - 1; i >= 0; i--) {
        walk_list(capture, &generations[i].head);
    }
    struct gc_generation *frozen
        = (struct gc_generation *)((char *)(generations + NUM_GENERATIONS) + sizeof(void *));
    walk_list(capture, &frozen->head);
}

/* ---- roots without a name -------------------------------------------------------------------- */

/* Values that the interpreter makes once: before 3.12 they have an ordinary reference count. */
static int
is_made_once(PyObject *object, PyTypeObject *type)
{
    if (object == Py_None || object == Py_True || object == Py_False || object == Py_Ellipsis
        || object == Py_NotImplemented) {
        return 1;
    }
    if (type == &PyLong_Type) {
        int overflow;
        long value = PyLong_AsLongAndOverflow(object, &overflow);
        return !overflow && value >= -5 && value <= 256;
    }
    if (type == &PyTuple_Type || type == &PyBytes_Type) {
        return Py_SIZE(object) == 0 || (type == &PyBytes_Type && Py_SIZE(object) == 1);
    }
    return type == &PyUnicode_Type && PyUnicode_GET_LENGTH(object) <= 1
           && PyUnicode_KIND(object) == PyUnicode_1BYTE_KIND;
}

static int
unnamed_kind(PyObject *object, uint32_t excess)
{
    PyTypeObject *type = Py_TYPE(object);
    int immortal = compat_is_immortal(object);
    if (PyType_Check(object) && !(((PyTypeObject *)object)->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return ROOT_STATIC_TYPE;
    }
    if (excess == 0 && !immortal) {
        return 0;
    }
    if (is_made_once(object, type)) {
        return ROOT_IMMORTAL;
    }
    if (type == &PyUnicode_Type && (immortal || PyUnicode_CHECK_INTERNED(object))) {
        return ROOT_INTERNED;
    }
    return immortal ? ROOT_IMMORTAL : ROOT_EXTERNAL;
}

/* ---- what the interpreter holds without a name that can be asked for ------------------------- */

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
name_by_content(const Capture *capture, PyObject *object)
{
    if (Py_TYPE(object) == &PyList_Type && Py_SIZE(object) > 0) {
        PyObject **items = ((PyListObject *)object)->ob_item;
        if (Py_SIZE(object) > 1 && items[1] == capture->facts.sys_module) {
            return "modules by index";
        }
        for (Py_ssize_t i = 0; i < Py_SIZE(object); i++) {
            if (!PyFunction_Check(items[i])
                || !text_equals(((PyFunctionObject *)items[i])->func_name, "search_function")) {
                return NULL;
            }
        }
        return "codec search path";
    }
    if (Py_TYPE(object) != &PyDict_Type || ((PyDictObject *)object)->ma_used == 0
        || compat_split_values((PyDictObject *)object) != NULL) {
        return NULL;
    }
    CompatEntries entries = compat_entries(((PyDictObject *)object)->ma_keys);
    PyObject *key = NULL, *value = NULL;
    for (Py_ssize_t i = 0; i < entries.count && value == NULL; i++) {
        key = compat_entry_key(&entries, i);
        value = compat_entry_value(&entries, i);
    }
    if (value == NULL || !PyUnicode_CheckExact(key)) {
        return NULL;
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
    return text_equals(key, "__name__") && is_saved_copy(capture, object) ? "saved copy of a module"
                                                                         : NULL;
}

static const char *
interpreter_name(const Capture *capture, PyObject *object)
{
    const Facts *facts = &capture->facts;
    const struct {
        PyObject *object;
        const char *name;
    } known[] = {
        {facts->sys_dict, "sys.__dict__"},
        {facts->builtins, "builtins.__dict__"},
        {namespace_get(facts->builtins, "__import__"), "builtins.__import__"},
        {namespace_get(facts->modules, "_frozen_importlib"), "importlib"},
        {namespace_get(facts->modules, "__main__"), "__main__"},
        {namespace_get(facts->warnings_dict, "filters"), "warnings.filters"},
        {namespace_get(facts->warnings_dict, "_onceregistry"), "warnings.onceregistry"},
        {namespace_get(facts->warnings_dict, "_defaultaction"), "warnings.defaultaction"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].object == object) {
            return known[i].name;
        }
    }
    return name_by_content(capture, object);
}

static void
explain(Capture *capture, uint32_t index)
{
    uint32_t *left = ITEMS(capture->node_references, uint32_t)
                     + ITEMS(capture->node_of, uint32_t)[index];
    if (*left != 0 && *left != MANY_REFERENCES) {
        --*left;
    }
}

/* The best names first, otherwise in the order found. */
static void
sort_roots(Capture *capture)
{
    Buffer sorted = {NULL, 0, 0};
    if (capture->failed || buffer_reserve(&sorted, capture->roots.size + 1) < 0) {
        capture->failed = 1;
        return;
    }
    for (int kind = ROOT_MODULE; kind <= ROOT_EXTERNAL; kind++) {
        for (size_t i = 0; i < COUNT(capture->roots, Root); i++) {
            const Root *root = ITEMS(capture->roots, Root) + i;
            if (root->kind == kind) {
                memcpy(sorted.data + sorted.size, root, sizeof *root);
                sorted.size += sizeof *root;
            }
        }
    }
    buffer_free(&capture->roots);
    capture->roots = sorted;
}

void
find_unnamed_roots(Capture *capture)
{
    size_t named = COUNT(capture->roots, Root);
    for (size_t i = 0; i < named; i++) {
        if (ITEMS(capture->roots, Root)[i].counted) {
            explain(capture, ITEMS(capture->roots, Root)[i].index);
        }
    }
    for (size_t i = 0; i < COUNT(capture->hidden, uint32_t); i++) {
        explain(capture, ITEMS(capture->hidden, uint32_t)[i]);
    }
    Buffer found[ROOT_EXTERNAL + 1] = {{NULL, 0, 0}};
    const uint32_t *excess = ITEMS(capture->node_references, uint32_t);
    const uint16_t *flags = ITEMS(capture->node_flags, uint16_t);
    const uint32_t *type_row = ITEMS(capture->node_type, uint32_t);
    const Plan *plans = ITEMS(capture->plans, Plan);
    for (uint32_t node = 1; node < capture->node_count; node++) {
        int is_class = plans[type_row[node]].known == &PyType_Type;
        if (excess[node] == 0 && !(flags[node] & FLAG_IMMORTAL) && !is_class) {
            continue;
        }
        uint32_t index = ITEMS(capture->node_index, uint32_t)[node];
        int kind = unnamed_kind((PyObject *)(uintptr_t)ITEMS(capture->address, uint64_t)[index],
                                excess[node]);
        if (kind != 0) {
            capture->failed |= push_u32(&found[kind], index) < 0;
        }
    }
    for (int kind = ROOT_STATIC_TYPE; kind <= ROOT_EXTERNAL; kind++) {
        for (size_t i = 0; i < COUNT(found[kind], uint32_t) && !capture->failed; i++) {
            Root root = {ITEMS(found[kind], uint32_t)[i], 0, NODE_NONE, (uint8_t)kind, 0};
            const char *name = NULL;
            if (kind == ROOT_EXTERNAL) {
                uint64_t address = ITEMS(capture->address, uint64_t)[root.index];
                name = interpreter_name(capture, (PyObject *)(uintptr_t)address);
            }
            if (name != NULL) {
                root.kind = ROOT_INTERPRETER;
                root.name = strings_add_text(&capture->strings, name);
            }
            if (buffer_reserve(&capture->roots, sizeof root) < 0) {
                capture->failed = 1;
                break;
            }
            memcpy(capture->roots.data + capture->roots.size, &root, sizeof root);
            capture->roots.size += sizeof root;
        }
        buffer_free(&found[kind]);
    }
    sort_roots(capture);
}

/* ---- garbage --------------------------------------------------------------------------------- */

static void
reach(Capture *capture, uint32_t node)
{
    uint16_t *flags = ITEMS(capture->node_flags, uint16_t) + node;
    if (*flags & FLAG_GARBAGE) {
        *flags &= (uint16_t)~FLAG_GARBAGE;
        capture->failed |= push_u32(&capture->stack, node) < 0;
    }
}

/* Whatever is not reached from a named root may be garbage, until a root without a name, or what it
 * refers to, leads there. Edges are nodes by now. */
void
mark_garbage(Capture *capture)
{
    const uint64_t *offset = ITEMS(capture->edge_offset, uint64_t);
    const uint32_t *target = ITEMS(capture->edge_target, uint32_t);
    const uint32_t *label = ITEMS(capture->edge_label, uint32_t);
    uint64_t edge_count = COUNT(capture->edge_target, uint32_t);
    for (uint32_t node = capture->named_end; node < capture->node_count; node++) {
        ITEMS(capture->node_flags, uint16_t)[node] |= FLAG_GARBAGE;
    }
    capture->stack.size = 0;
    for (size_t i = 0; i < COUNT(capture->roots, Root); i++) {
        reach(capture, ITEMS(capture->node_of, uint32_t)[ITEMS(capture->roots, Root)[i].index]);
    }
    while (capture->stack.size != 0 && !capture->failed) {
        capture->stack.size -= sizeof(uint32_t);
        uint32_t node = *(uint32_t *)(capture->stack.data + capture->stack.size);
        uint64_t end = node + 1 < capture->node_count ? offset[node + 1] : edge_count;
        for (uint64_t edge = offset[node]; edge < end; edge++) {
            if ((label[edge] & KIND_MASK) != WEAK) {
                reach(capture, target[edge]);
            }
        }
    }
}

#endif
