/* The object fields of C types that have names. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/fields.h"
#include "capture/types.h"

static void
add_field(Capture *capture, Py_ssize_t offset, PyGetSetDef *getter, uint32_t label)
{
    Field field = {offset, getter, label};
    PUSH_ROW(capture, &capture->fields, field);
}

void
add_member_fields(Capture *capture, const PyMemberDef *member, Py_ssize_t count, unsigned kind)
{
    for (; member != NULL && count != 0 && member->name != NULL; member++, count--) {
        if (member->type == T_OBJECT || member->type == T_OBJECT_EX) {
            add_field(capture, member->offset, NULL, text_label(capture, kind, member->name));
        }
    }
}

static int
is_among(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return 1;
        }
    }
    return 0;
}

static void
add_known_fields(Capture *capture, PyTypeObject *type)
{
    const KnownType *row = known_type(&capture->facts, type);
    if (row == NULL) {
        return;
    }
    for (int i = 0; i < MOST_HIDDEN_FIELDS && row->fields[i].name != NULL; i++) {
        add_field(capture, row->fields[i].offset, NULL,
                  text_label(capture, INTERNAL, row->fields[i].name));
    }
    for (PyGetSetDef *def = type->tp_getset; def != NULL && def->name != NULL; def++) {
        if (row->getters != NULL && is_among(def->name, row->getters)) {
            add_field(capture, 0, def, text_label(capture, INTERNAL, def->name));
        }
    }
}

void
find_fields(Capture *capture, Plan *plan)
{
    plan->first_field = (uint32_t)COUNT(capture->fields, Field);
    for (PyTypeObject *type = plan->base; type != NULL; type = type->tp_base) {
        add_member_fields(capture, type->tp_members, -1, INTERNAL);
        add_known_fields(capture, type);
    }
    plan->field_count = (uint32_t)COUNT(capture->fields, Field) - plan->first_field;
}

#endif
