/* One plan for each type: how to read its objects. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/plans.h"
#include "capture/edges_objects.h"
#include "capture/edges_values.h"
#include "capture/fields.h"
#include "capture/finished.h"
#include "capture/names.h"
#include "capture/types.h"

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
    Buffer larger = {NULL, 0, 0};
    if (buffer_zeros(&larger, size * sizeof(uint32_t)) < 0) {
        capture->failed = 1;
        return;
    }
    buffer_free(&capture->plan_table);
    capture->plan_table = larger;
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
    for (; is_python_class(capture, base) && known_content(&capture->facts, base) == NULL;
         base = base->tp_base) {
        if (Py_SIZE(base) > 0 && base->tp_traverse == capture->facts.python_traverse) {
            add_member_fields(capture, compat_slot_members(base), Py_SIZE(base), ATTRIBUTE);
        }
    }
    plan->slot_count = (uint32_t)COUNT(capture->fields, Field) - plan->first_slot;
    plan->base = base;
    for (; base != NULL && known_content(&capture->facts, base) == NULL; base = base->tp_base) {
    }
    plan->known = base;
    plan->known_content = base == NULL ? refers_to_nothing : known_content(&capture->facts, base);
}

/* Labels for values without a dict: the keys that all instances of the class share. */
static void
find_key_labels(Capture *capture, Plan *plan)
{
    plan->first_key = (uint32_t)COUNT(capture->key_labels, uint32_t);
    CompatKeys *keys = plan->holds_type ? compat_instance_keys(plan->type) : NULL;
    if (keys != NULL) {
        CompatEntries entries = compat_entries(keys);
        for (Py_ssize_t i = 0; i < entries.count; i++) {
            uint32_t label = named_label(capture, ATTRIBUTE, compat_entry_key(&entries, i));
            capture->failed |= push_u32(&capture->key_labels, label) < 0;
        }
    }
    plan->key_count = (uint32_t)COUNT(capture->key_labels, uint32_t) - plan->first_key;
}

static void
find_attributes(Capture *capture, Plan *plan)
{
    int base_has = compat_has_dict(plan->base);
    plan->has_attributes = compat_has_dict(plan->type);
    const KnownType *row = plan->known == NULL ? NULL : known_type(&capture->facts, plan->known);
    if (row != NULL && row->reads_attributes) {
        plan->has_attributes = 0; /* their reader adds them: modules, functions, classes */
    }
    plan->content_shows_attributes = plan->has_attributes && base_has;
    if (plan->has_attributes) {
        find_key_labels(capture, plan);
    }
}

static void
find_sizes(const Facts *facts, Plan *plan)
{
    PyTypeObject *type = plan->type;
    size_t fixed = (size_t)type->tp_basicsize;
    if (type->tp_flags & Py_TPFLAGS_HAVE_GC && type->tp_is_gc == NULL) {
        /* Without tp_is_gc the object itself is not needed. */
        fixed += compat_header_bytes(NULL, type);
    }
    plan->fixed_bytes = (uint32_t)fixed;
    plan->item_bytes = (uint32_t)type->tp_itemsize;
    const KnownType *row = plan->known == NULL ? NULL : known_type(facts, plan->known);
    if (row != NULL && row->counts_items) {
        plan->item_bytes = 0; /* their content knows */
    }
}

static void
find_content(Capture *capture, Plan *plan)
{
    if (plan->known == plan->base) {
        plan->content = plan->known_content != refers_to_nothing ? plan->known_content : NULL;
        return;
    }
    find_fields(capture, plan);
    if (plan->known_content != refers_to_nothing) {
        plan->content = derived_content;
    }
    else if (plan->base->tp_traverse != NULL || plan->field_count != 0) {
        plan->content = generic_content;
    }
}

static void
make_plan(Capture *capture, Plan *plan, PyTypeObject *type)
{
    const KnownType *row = known_type(&capture->facts, type);
    memset(plan, 0, sizeof *plan);
    plan->type = type;
    plan->holds_type = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0
                       && (row == NULL || !row->shown_by_owner);
    plan->name = type_name(capture, type);
    plan->is_own = (uint8_t)type_is_own(capture, type);
    find_base(capture, plan);
    find_attributes(capture, plan);
    find_content(capture, plan);
    find_sizes(&capture->facts, plan);
    const KnownType *base_row = known_type(&capture->facts, plan->base);
    plan->rest = base_row == NULL ? NULL : base_row->rest;
    plan->namer = base_row == NULL ? NULL : base_row->namer;
    plan->memory = known_memory(&capture->facts, type);
    plan->is_measured = (uint8_t)has_adapter(&capture->facts, type);
    plan->is_compared = row != NULL && row->is_compared;
    plan->finish = find_finish_test(&capture->facts, type);
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
    /* A static type that its extension has not passed to PyType_Ready has no type itself, though
     * there may be instances: those of cffi's `thread_canary` are in the dicts of threads. */
    plan.type_index = Py_TYPE(type) == NULL ? NODE_NONE : capture_index(capture, (PyObject *)type);
    if (capture->failed) {
        return 0; /* the table must not fill up: it is searched until there is an empty place */
    }
    PUSH_ROW(capture, &capture->plans, plan);
    if (capture->failed) {
        return 0;
    }
    rows[place] = row;
    if (2 * (uint64_t)row > capture->plan_mask) {
        grow_plan_table(capture);
    }
    capture->last_type = type;
    return capture->last_row = row;
}

#endif
