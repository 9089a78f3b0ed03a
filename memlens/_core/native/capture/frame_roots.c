/* Running frames: a root for each, except those of memlens itself. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/frame_roots.h"
#include "base/frames.h"
#include "capture/names.h"

static void
hide_reference(Capture *capture, PyObject *object, int is_borrowed)
{
    if (object != NULL && !is_borrowed) {
        uint32_t index = capture_index(capture, object);
        capture->failed |= push_u32(&capture->hidden, index) < 0;
    }
}

/* Leave a frame of memlens out, but remember the references that it holds. */
static void
hide_frame(Capture *capture, CompatFrame *frame, PyCodeObject *code)
{
    PyObject *object = compat_frame_object(frame);
    if (object != NULL) {
        PUSH_ROW(capture, &capture->hidden_frames, object);
    }
    CompatNamed fields[COMPAT_MOST_FRAME_FIELDS];
    int field_count = compat_frame_fields(frame, fields);
    for (int i = 0; i < field_count; i++) {
        hide_reference(capture, fields[i].object, fields[i].is_borrowed);
    }
    int count = compat_frame_stored(frame, code);
    for (int slot = 0; slot < count; slot++) {
        CompatHeld held = compat_frame_slot(frame, slot);
        hide_reference(capture, held.object, held.is_borrowed);
    }
}

static void
add_frame(Capture *capture, CompatFrame *frame, PyCodeObject *code, uint64_t thread, uint32_t depth)
{
    int line = PyCode_Addr2Line(code, compat_frame_instruction(frame, code));
    PyObject *name = compat_code_name(code);
    FrameRow row = {thread, strings_add_object(&capture->strings, name),
                    strings_add_object(&capture->strings, code->co_filename),
                    line > 0 ? (uint32_t)line : 0, depth};
    uint32_t number = (uint32_t)COUNT(capture->frames, FrameRow);
    PUSH_ROW(capture, &capture->frames, row);
    /* Running holds the frame, but a generator's frame belongs to the generator. */
    add_root(capture, compat_frame_object(frame), ROOT_FRAME, row.function, number,
             !compat_is_generator_frame(frame));
}

void
add_frames_of(Capture *capture, PyThreadState *thread)
{
    int skip = thread == capture->facts.thread ? capture->facts.skip_frames : 0;
    uint32_t depth = 0;
    for (CompatFrame *frame = compat_top_frame(thread); frame != NULL && !capture->failed;
         frame = compat_previous_frame(frame)) {
        PyCodeObject *code = compat_frame_code(frame);
        if (code == NULL) {
            continue;
        }
        if (code_is_own(capture, code)) {
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

#endif
