/* One plan for each type: how to read its objects. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/capture.h"

static inline uint64_t
type_place(const Capture *capture, const PyTypeObject *type)
{
    uint64_t key = (uint64_t)(uintptr_t)type * UINT64_C(0x9E3779B97F4A7C15);
    return (key ^ (key >> 32)) & capture->plan_mask;
}

static void
grow_plan_table(Capture *capture)
{
    uint64_t size = 2 * (capture->plan_mask + 1);
    buffer_free(&capture->plan_table);
    if (buffer_zeros(&capture->plan_table, size * sizeof(uint32_t)) < 0) {
        capture->failed = 1;
        return;
    }
    capture->plan_mask = size - 1;
    uint32_t *rows = ITEMS(capture->plan_table, uint32_t);
    for (uint32_t row = 1; row < COUNT(capture->plans, Plan); row++) {
        uint64_t place = type_place(capture, plan_at(capture, row)->type);
        while (rows[place] != 0) {
            place = (place + 1) & capture->plan_mask;
        }
        rows[place] = row;
    }
}

static void
add_field(Capture *capture, Py_ssize_t offset, PyGetSetDef *getter, uint32_t label)
{
    Field field = {offset, getter, label};
    if (buffer_reserve(&capture->fields, sizeof field) < 0) {
        capture->failed = 1;
        return;
    }
    memcpy(capture->fields.data + capture->fields.size, &field, sizeof field);
    capture->fields.size += sizeof field;
}

static void
add_member_fields(Capture *capture, const PyMemberDef *member, Py_ssize_t count, unsigned kind)
{
    /* A count of -1: up to the entry without a name. */
    for (; member != NULL && count != 0 && member->name != NULL; member++, count--) {
        if (member->type == T_OBJECT || member->type == T_OBJECT_EX) {
            add_field(capture, member->offset, NULL, text_label(capture, kind, member->name));
        }
    }
}

/* Object fields that C types keep without a member to show them. */
static void
add_hidden_fields(Capture *capture, PyTypeObject *type)
{
    struct {
        PyTypeObject *type;
        Py_ssize_t offset;
        const char *name;
    } hidden[] = {
        {(PyTypeObject *)PyExc_BaseException, offsetof(PyBaseExceptionObject, args), "args"},
        {(PyTypeObject *)PyExc_BaseException, offsetof(PyBaseExceptionObject, traceback),
         "__traceback__"},
        {(PyTypeObject *)PyExc_BaseException, offsetof(PyBaseExceptionObject, context),
         "__context__"},
        {(PyTypeObject *)PyExc_BaseException, offsetof(PyBaseExceptionObject, cause), "__cause__"},
        {&PyTraceBack_Type, offsetof(PyTracebackObject, tb_next), "tb_next"},
        {&PyCFunction_Type, offsetof(PyCFunctionObject, m_self), "__self__"},
        {&PyDictProxy_Type, sizeof(PyObject), "mapping"},
    };
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        if (type == hidden[i].type) {
            add_field(capture, hidden[i].offset, NULL,
                      text_label(capture, INTERNAL, hidden[i].name));
        }
    }
}

/* The fields of futures and tasks, which lie elsewhere in each version: their getters are asked. */
static void
add_future_fields(Capture *capture, PyTypeObject *type)
{
    static const char *const plain[] = {"_loop", "_result", "_exception", "_coro", "_fut_waiter",
                                        "_source_traceback", "_cancel_message"};
    if (strcmp(type->tp_name, "_asyncio.Future") != 0 && strcmp(type->tp_name, "_asyncio.Task") != 0) {
        return;
    }
    for (PyGetSetDef *def = type->tp_getset; def != NULL && def->name != NULL; def++) {
        for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
            if (strcmp(def->name, plain[i]) == 0) {
                add_field(capture, 0, def, text_label(capture, INTERNAL, plain[i]));
            }
        }
    }
}

static int
is_python_class(const Capture *capture, PyTypeObject *type)
{
    return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) && type->tp_base != NULL
           && (type->tp_traverse == capture->facts.python_traverse
               || (type->tp_traverse == NULL && Py_SIZE(type) == 0));
}

/* Split the bases into the classes made by class statements, with their __slots__, and the C type
 * that they are built upon. */
static void
find_base(Capture *capture, Plan *plan)
{
    PyTypeObject *base = plan->type;
    plan->first_slot = (uint32_t)COUNT(capture->fields, Field);
    for (; is_python_class(capture, base) && known_content(capture, base) == NULL;
         base = base->tp_base) {
        if (Py_SIZE(base) > 0 && base->tp_traverse == capture->facts.python_traverse) {
            add_member_fields(capture, compat_slot_members(base), Py_SIZE(base), ATTRIBUTE);
        }
    }
    plan->slot_count = (uint32_t)COUNT(capture->fields, Field) - plan->first_slot;
    plan->base = base;
    for (; base != NULL && known_content(capture, base) == NULL; base = base->tp_base) {
    }
    plan->known = base;
    plan->known_content = base == NULL ? refers_to_nothing : known_content(capture, base);
}

static void
find_fields(Capture *capture, Plan *plan)
{
    plan->first_field = (uint32_t)COUNT(capture->fields, Field);
    for (PyTypeObject *type = plan->base; type != NULL; type = type->tp_base) {
        add_member_fields(capture, type->tp_members, -1, INTERNAL);
        add_hidden_fields(capture, type);
        add_future_fields(capture, type);
    }
    plan->field_count = (uint32_t)COUNT(capture->fields, Field) - plan->first_field;
}

/* Labels for values without a dict: the keys that all instances of the class share. */
static void
find_key_labels(Capture *capture, Plan *plan)
{
    plan->first_key = (uint32_t)COUNT(capture->key_labels, uint32_t);
    CompatKeys *keys = plan->holds_type ? ((PyHeapTypeObject *)plan->type)->ht_cached_keys : NULL;
    if (keys != NULL && MEMLENS_MINOR >= 11) {
        CompatEntries entries = compat_entries(keys);
        for (Py_ssize_t i = 0; i < entries.count; i++) {
            uint32_t label = named_label(capture, ATTRIBUTE, compat_entry_key(&entries, i));
            capture->failed |= push_u32(&capture->key_labels, label) < 0;
        }
    }
    plan->key_count = (uint32_t)COUNT(capture->key_labels, uint32_t) - plan->first_key;
}

static int
has_dict(PyTypeObject *type)
{
#if MEMLENS_MINOR >= 11
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        return 1;
    }
#endif
    return type->tp_dictoffset != 0;
}

static void
find_attributes(Capture *capture, Plan *plan)
{
    int base_has = has_dict(plan->base);
    plan->has_attributes = has_dict(plan->type);
    if (plan->known != NULL && has_dict(plan->known)) {
        plan->has_attributes = 0; /* modules, functions, classes: their content has it */
    }
    plan->content_shows_attributes = plan->has_attributes && base_has;
    if (plan->has_attributes) {
        find_key_labels(capture, plan);
    }
}

PyObject *
type_module(PyTypeObject *type)
{
    PyObject *dict = compat_type_dict(type);
    return dict == NULL ? NULL : namespace_get(dict, "__module__");
}

int
inherits(PyTypeObject *type, PyTypeObject *base)
{
    for (; type != NULL && base != NULL; type = type->tp_base) {
        if (type == base) {
            return 1;
        }
    }
    return 0;
}

uint32_t
type_name(Capture *capture, PyTypeObject *type)
{
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return strings_add_text(&capture->strings, type->tp_name);
    }
    Buffer *bytes = &capture->text;
    PyObject *module = type_module(type);
    bytes->size = 0;
    if (module != NULL && !text_equals(module, "builtins")) {
        capture->failed |= append_utf8(bytes, module) < 0;
        if (bytes->size != 0) {
            capture->failed |= push_u8(bytes, '.') < 0;
        }
    }
    capture->failed |= append_utf8(bytes, ((PyHeapTypeObject *)type)->ht_qualname) < 0;
    uint32_t number = strings_add(&capture->strings, bytes->data, bytes->size);
    bytes->size = 0;
    return number;
}

int
module_is_own(const Capture *capture, PyObject *name)
{
    const char *package = capture->facts.own_package;
    if (!text_starts_with(name, package)) {
        return 0;
    }
    Py_ssize_t length = (Py_ssize_t)strlen(package);
    return PyUnicode_GET_LENGTH(name) == length || PyUnicode_READ_CHAR(name, length) == '.';
}

int
type_is_own(const Capture *capture, PyTypeObject *type)
{
    const char *package = capture->facts.own_package;
    size_t length = strlen(package);
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return strncmp(type->tp_name, package, length) == 0 && type->tp_name[length] == '.';
    }
    return module_is_own(capture, type_module(type));
}

static void
find_sizes(Plan *plan)
{
    PyTypeObject *type = plan->type;
    size_t fixed = (size_t)type->tp_basicsize;
    if (type->tp_flags & Py_TPFLAGS_HAVE_GC && type->tp_is_gc == NULL) {
        /* The object is not looked at where its type has no tp_is_gc. */
        fixed += compat_header_bytes(NULL, type);
    }
    plan->fixed_bytes = (uint32_t)fixed;
    plan->item_bytes = (uint32_t)type->tp_itemsize;
    PyTypeObject *known = plan->known;
    if (known == &PyLong_Type || known == &PyBool_Type || known == &PyGen_Type || known == &PyCoro_Type
        || known == &PyAsyncGen_Type || known == &PyType_Type
        || (known == &PyFrame_Type && MEMLENS_MINOR >= 11)
        || (known == &PyCode_Type && MEMLENS_MINOR >= 11)) {
        plan->item_bytes = 0; /* their content knows */
    }
}

static void
make_plan(Capture *capture, Plan *plan, PyTypeObject *type)
{
    memset(plan, 0, sizeof *plan);
    plan->type = type;
    plan->holds_type = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
    if (strcmp(type->tp_name, "functools._lru_list_elem") == 0) {
        plan->holds_type = 0; /* the cache shows what its links hold, the class included */
    }
    plan->name = type_name(capture, type);
    plan->is_own = (uint8_t)type_is_own(capture, type);
    find_base(capture, plan);
    find_attributes(capture, plan);
    if (plan->known == plan->base) {
        plan->content = plan->known_content;
        if (plan->content == refers_to_nothing) {
            plan->content = NULL;
        }
    }
    else {
        find_fields(capture, plan);
        plan->content = plan->known_content != refers_to_nothing
                            ? derived_content
                            : generic_content;
        if (plan->content == generic_content && plan->base->tp_traverse == NULL
            && plan->field_count == 0) {
            plan->content = NULL;
        }
    }
    find_sizes(plan);
    plan->is_compared = plan->type == &PyUnicode_Type || plan->type == &PyBytes_Type;
    find_finish_test(capture, plan);
}

uint32_t
plan_row(Capture *capture, PyTypeObject *type)
{
    uint32_t *rows = ITEMS(capture->plan_table, uint32_t);
    uint64_t place = type_place(capture, type);
    for (; rows[place] != 0; place = (place + 1) & capture->plan_mask) {
        if (plan_at(capture, rows[place])->type == type) {
            capture->last_type = type;
            return capture->last_row = rows[place];
        }
    }
    uint32_t row = (uint32_t)COUNT(capture->plans, Plan);
    Plan plan;
    make_plan(capture, &plan, type);
    plan.type_index = capture_index(capture, (PyObject *)type);
    if (buffer_reserve(&capture->plans, sizeof plan) < 0) {
        capture->failed = 1;
        return 0;
    }
    memcpy(capture->plans.data + capture->plans.size, &plan, sizeof plan);
    capture->plans.size += sizeof plan;
    rows[place] = row;
    if (2 * (uint64_t)row > capture->plan_mask) {
        grow_plan_table(capture);
    }
    capture->last_type = type;
    return capture->last_row = row;
}

#endif
