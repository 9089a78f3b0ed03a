/* The lists of the collector, read in place. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/collector.h"

static void
visit_list(Capture *capture, PyGC_Head *head, void (*visit)(Capture *, uint32_t))
{
    /* The lowest bits of the links carry marks while the collector runs. */
    for (uintptr_t at = head->_gc_next & ~(uintptr_t)3; at != (uintptr_t)head && !capture->failed;
         at = ((PyGC_Head *)at)->_gc_next & ~(uintptr_t)3) {
        PyObject *object = (PyObject *)((PyGC_Head *)at + 1);
        visit(capture, capture_index(capture, object));
    }
}

/* The lists are read in place. gc.get_objects() would add a reference to each object, and that
 * would copy every page in a forked child. */
void
visit_collector_lists(Capture *capture, void (*visit)(Capture *, uint32_t))
{
    struct gc_generation *generations = capture->facts.generations;
    if (generations == NULL) {
        return;
    }
    for (int i = NUM_GENERATIONS - 1; i >= 0; i--) {
        visit_list(capture, &generations[i].head, visit);
    }
    struct gc_generation *frozen
        = (struct gc_generation *)((char *)(generations + NUM_GENERATIONS) + COMPAT_FROZEN_GAP_BYTES);
    visit_list(capture, &frozen->head, visit);
}

#endif
