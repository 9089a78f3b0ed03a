/* A whole capture: each step needs what the steps before have found. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/run.h"
#include "capture/blocks.h"
#include "capture/bounds.h"
#include "capture/collector.h"
#include "capture/equal.h"
#include "capture/garbage.h"
#include "capture/named_roots.h"
#include "capture/native_blocks.h"
#include "capture/native_chunks.h"
#include "capture/numbering.h"
#include "capture/relabel.h"
#include "capture/unnamed_roots.h"
#include "capture/walk.h"

static void
read_objects(Capture *capture)
{
    prepare_blocks(capture);
    find_named_roots(capture);
    size_t root_count = COUNT(capture->roots, Root);
    for (size_t i = 0; i < root_count && !capture->failed; i++) {
        capture_walk(capture, ITEMS(capture->roots, Root)[i].index);
    }
    capture->named_end = capture->node_count;
    if (!capture->failed) {
        visit_collector_lists(capture, capture_walk);
    }
    /* Types, and objects that only weak references lead to. */
    for (uint32_t index = 0; index < capture->index_count && !capture->failed; index++) {
        capture_walk(capture, index);
    }
}

int
capture_run(Capture *capture)
{
    read_objects(capture);
    capture->failed |= capture->strings.failed;
    if (!capture->failed) {
        read_measured(capture);
    }
    if (!capture->failed) {
        attach_native(capture);
    }
    table_free(&capture->table);
    capture->failed |= capture->strings.failed;
    if (!capture->failed) {
        list_indices(capture);
        add_up_edges(capture);
    }
    if (!capture->failed) {
        find_equal(capture);
    }
    if (!capture->failed) {
        number_edges(capture);
        put_names_right(capture);
    }
    if (!capture->failed) {
        find_owner_bounds(capture);
        find_unnamed_roots(capture);
    }
    if (!capture->failed) {
        mark_garbage(capture);
    }
    return capture->failed || capture->strings.failed ? -1 : 0;
}

#endif
