/* What tp_traverse shows of an object, less what has an edge already. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/shown.h"

static int
note_shown(PyObject *target, void *arg)
{
    Capture *capture = arg;
    if (!is_alive(target)) {
        return 0;
    }
    PUSH_ROW(capture, &capture->scratch, target);
    return capture->failed ? -1 : 0;
}

void
list_shown(Capture *capture, PyObject *object, traverseproc traverse)
{
    capture->scratch.size = capture->scratch_next = 0;
    traverse(object, note_shown, capture);
}

int
claim(Capture *capture, PyObject *target)
{
    PyObject **shown = ITEMS(capture->scratch, PyObject *);
    size_t count = COUNT(capture->scratch, PyObject *);
    /* Readers claim in the order of the traversal, or nearly so: each search begins where the last
     * one ended. */
    size_t place = capture->scratch_next < count ? capture->scratch_next : 0;
    for (size_t left = target == NULL ? 0 : count; left > 0; left--) {
        if (shown[place] == target) {
            shown[place] = NULL;
            capture->scratch_next = place + 1;
            return 1;
        }
        place = place + 1 == count ? 0 : place + 1;
    }
    return 0;
}

void
claim_attributes(Capture *capture, PyObject *object, const Plan *plan)
{
    CompatAttributes found = compat_attributes(object, plan->type);
    if (found.dict != NULL) {
        claim(capture, found.dict);
    }
    for (Py_ssize_t i = 0; i < found.capacity && found.values != NULL; i++) {
        if (found.values[i] != NULL) {
            claim(capture, found.values[i]);
        }
    }
}

#define FEW 256

void
claim_base(Capture *capture, PyObject *object, const Plan *plan)
{
    Buffer derived = capture->scratch;
    capture->scratch = (Buffer){NULL, 0, 0};
    list_shown(capture, object, plan->known->tp_traverse);
    Buffer base = capture->scratch;
    capture->scratch = derived;
    size_t count = COUNT(base, PyObject *), all = COUNT(derived, PyObject *);
    PyObject **shown = ITEMS(capture->scratch, PyObject *);
    if (count > 0 && count <= all && memcmp(shown + all - count, base.data, base.size) == 0) {
        capture->scratch.size -= base.size; /* it calls its base last, as most do */
    }
    else if (count > 0 && count <= all && memcmp(shown, base.data, base.size) == 0) {
        memset(capture->scratch.data, 0, base.size);
    }
    else if (count <= FEW) {
        for (size_t i = 0; i < count; i++) {
            claim(capture, ITEMS(base, PyObject *)[i]);
        }
    }
    else {
        capture->scratch.size = 0;
    }
    buffer_free(&base);
}

void
add_unclaimed(Capture *capture, uint32_t label)
{
    size_t count = COUNT(capture->scratch, PyObject *);
    for (size_t i = 0; i < count; i++) {
        add_optional_edge(capture, ITEMS(capture->scratch, PyObject *)[i], label);
    }
    capture->scratch.size = 0;
}

#endif
