/* What frames, generators, coroutines and asynchronous generators hold. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_frames.h"
#include "base/frames.h"

static void
add_locals(Capture *capture, CompatFrame *frame, PyCodeObject *code)
{
    int count = compat_frame_stored(frame, code);
    for (int slot = 0; slot < count; slot++) {
        CompatHeld held = compat_frame_slot(frame, slot);
        if (held.object != NULL) {
            PyObject *name = compat_local_name(code, slot);
            add_edge(capture, held.object,
                     name == NULL ? label_of(INTERNAL, 0) : named_label(capture, LOCAL, name));
            if (held.is_borrowed) {
                note_borrowed(capture, held.object);
            }
        }
    }
}

void
frame_content(Capture *capture, PyObject *object, const Plan *plan)
{
    CompatNamed fields[COMPAT_MOST_FRAME_FIELDS];
    (void)plan;
    if (frame_is_hidden(capture, object)) {
        capture->flags |= FLAG_OWN;
        return;
    }
    add_all_named(capture, fields, compat_frame_object_fields((PyFrameObject *)object, fields));
    CompatFrame *frame = compat_frame_of_object((PyFrameObject *)object);
    PyCodeObject *code = frame == NULL ? NULL : compat_frame_code(frame);
    if (code == NULL) {
        return;
    }
    if (!compat_generator_shows_frame(frame)) {
        add_all_named(capture, fields, compat_frame_fields(frame, fields));
        add_locals(capture, frame, code);
    }
    else if (compat_generator_frame_is_running(frame)) {
        add_locals(capture, frame, code); /* while it runs, the generator does not show them */
    }
    capture->size += compat_frame_object_bytes(frame, code);
}

void
generator_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PyGenObject *generator = (PyGenObject *)object;
    CompatNamed fields[COMPAT_MOST_GENERATOR_FIELDS];
    add_all_named(capture, fields, compat_generator_fields(generator, fields));
    CompatFrame *frame = compat_generator_frame(generator);
    PyCodeObject *code = NULL;
    if (frame == NULL) {
        capture->flags |= FLAG_FINISHED;
        code = compat_ended_generator_code(generator);
    }
    else {
        code = compat_frame_code(frame);
        add_all_named(capture, fields, compat_generator_frame_fields(frame, fields));
        if (code != NULL && compat_generator_shows_frame(frame)
            && !compat_generator_frame_is_running(frame)) {
            add_locals(capture, frame, code);
        }
    }
    if (code != NULL) {
        capture->size += compat_generator_frame_bytes(code, plan->type);
    }
}

#endif
