/* Instances, and the objects of C types that are not known one by one. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_objects.h"
#include "capture/shown.h"

void
add_slots(Capture *capture, PyObject *object, const Plan *plan)
{
    for (uint32_t i = 0; i < plan->slot_count; i++) {
        Field field = ITEMS(capture->fields, Field)[plan->first_slot + i];
        add_optional_edge(capture, *(PyObject **)((char *)object + field.offset), field.label);
    }
}

void
add_attributes(Capture *capture, PyObject *object, const Plan *plan)
{
    CompatAttributes found = compat_attributes(object, plan->type);
    capture->size += found.owned_bytes;
    if (found.dict != NULL) {
        note_namespace(capture, found.dict);
        add_edge(capture, found.dict, capture->label_dict);
    }
    for (Py_ssize_t i = 0; i < found.capacity && found.values != NULL; i++) {
        if (i >= (Py_ssize_t)plan->key_count) {
            break; /* no key of the class is without a place in `key_labels` */
        }
        if (found.values[i] != NULL) {
            add_edge(capture, found.values[i],
                     ITEMS(capture->key_labels, uint32_t)[plan->first_key + (uint32_t)i]);
        }
    }
}

/* What the getter of a C type returns. The object holds it too, so it stays alive after the
 * decref. */
static PyObject *
ask_getter(PyObject *object, const PyGetSetDef *def)
{
    PyObject *held = def->get(object, def->closure);
    if (held == NULL) {
        PyErr_Clear(); /* an empty field */
        return NULL;
    }
    if (Py_REFCNT(held) == 1) { /* created for this answer: the object does not hold it */
        Py_DECREF(held);
        return NULL;
    }
    Py_DECREF(held);
    return held;
}

/* Add fields with a name first, then what is left without one. `traversed`: only references that
 * tp_traverse shows are real. Without tp_traverse every object member is taken as a reference. */
static void
add_shown(Capture *capture, PyObject *object, const Plan *plan, int traversed)
{
    for (uint32_t i = 0; i < plan->field_count; i++) {
        Field field = ITEMS(capture->fields, Field)[plan->first_field + i];
        PyObject *target = field.getter != NULL
                               ? ask_getter(object, field.getter)
                               : *(PyObject **)((char *)object + field.offset);
        if (target != NULL && (!traversed || claim(capture, target))) {
            add_edge(capture, target, field.label);
        }
    }
    add_unclaimed(capture, label_of(INTERNAL, 0));
}

void
generic_content(Capture *capture, PyObject *object, const Plan *plan)
{
    traverseproc traverse = plan->base->tp_traverse;
    capture->scratch.size = 0;
    if (traverse != NULL && compat_has_gc_header(object, plan->type)) {
        list_shown(capture, object, traverse);
        if (plan->namer != NULL) {
            plan->namer(capture, plan);
        }
        if (plan->holds_type) {
            claim(capture, (PyObject *)plan->type); /* has its edge already */
        }
        if (plan->content_shows_attributes) {
            claim_attributes(capture, object, plan);
        }
    }
    add_shown(capture, object, plan, traverse != NULL);
}

void
derived_content(Capture *capture, PyObject *object, const Plan *plan)
{
    plan->known_content(capture, object, plan);
    capture->scratch.size = 0;
    traverseproc traverse = plan->base->tp_traverse;
    if (traverse == NULL || !compat_has_gc_header(object, plan->type)) {
        return;
    }
    list_shown(capture, object, traverse);
    if (plan->known->tp_traverse != NULL && plan->known->tp_traverse != traverse) {
        claim_base(capture, object, plan);
    }
    else if (plan->known->tp_traverse == traverse) {
        capture->scratch.size = 0;
    }
    if (plan->holds_type) {
        claim(capture, (PyObject *)plan->type);
    }
    if (plan->content_shows_attributes) {
        claim_attributes(capture, object, plan);
    }
    if (plan->rest != NULL) {
        plan->rest(capture, object);
    }
    else {
        add_shown(capture, object, plan, 1);
    }
}

#endif
