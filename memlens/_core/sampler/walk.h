/* From the running thread's frames to an interned stack: caches first, reading of code second.
 *
 * Code objects are recognised by their address, and addresses are used again. So the address of
 * every code object in the cache is put into the filter of watched addresses: when the block is
 * freed, the free hook takes the code out of the cache (`walk_forget_code`). Serial numbers of codes
 * are never used again, so lines cached for a dead code object are never found.
 * The caller holds the lock. */

#ifndef MEMLENS_SAMPLER_WALK_H
#define MEMLENS_SAMPLER_WALK_H

#include "filter.h"
#include "sites.h"

#define FRAMES_WALKED 1024
#define FRAMES_INNERMOST 48 /* kept of a stack deeper than FRAMES_KEPT, with the outermost ones: */
#define FRAMES_OUTERMOST 16 /* they join its tree at the root */
#define FRAMES_KEPT (FRAMES_INNERMOST + FRAMES_OUTERMOST)
#define CODE_CACHE_SIZE 4096
#define LINE_CACHE_SIZE 8192

typedef struct {
    const PyCodeObject *code;
    const PyObject *file_object; /* compared, never followed */
    int32_t first_line;
    uint32_t serial;
    uint32_t function, file; /* strings */
} CodeEntry;

typedef struct {
    uint32_t serial; /* 0: empty */
    int32_t position;
    uint32_t location;
} LineEntry;

typedef struct {
    CodeEntry *codes;
    LineEntry *lines;
    uint32_t last_serial;
} Walk;

typedef struct {
    PyCodeObject *code;
    int position;
} RawFrame;

static inline CodeEntry *
walk_code_entry(const Walk *walk, const void *code)
{
    uint64_t hash = ((uintptr_t)code >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    return &walk->codes[hash >> 32 & (CODE_CACHE_SIZE - 1)];
}

static void
walk_forget_code(Walk *walk, const void *address)
{
    CodeEntry *entry = walk_code_entry(walk, address);
    if (address != NULL && entry->code == address) { /* an empty entry's code is NULL */
        filter_remove(address);
        entry->code = NULL;
    }
}

/* Forgets all: numbers of strings and locations have changed. */
static void
walk_flush(Walk *walk)
{
    for (uint32_t i = 0; i < CODE_CACHE_SIZE; i++) {
        if (walk->codes[i].code != NULL) {
            walk_forget_code(walk, walk->codes[i].code);
        }
    }
    memset(walk->lines, 0, LINE_CACHE_SIZE * sizeof(LineEntry));
    walk->last_serial = 0;
}

static const CodeEntry *
walk_code(Walk *walk, Sites *sites, PyCodeObject *code, bool *full)
{
    CodeEntry *entry = walk_code_entry(walk, code);
    if (entry->code == code && entry->first_line == code->co_firstlineno &&
        entry->file_object == code->co_filename) {
        return entry;
    }
    if (entry->code != NULL) {
        walk_forget_code(walk, entry->code);
    }
    if (walk->last_serial == UINT32_MAX) {
        walk_flush(walk);
    }
    entry->function = strings_intern_text(&sites->strings, code_function_name(code), full);
    entry->file = strings_intern_text(&sites->strings, code->co_filename, full);
    entry->file_object = code->co_filename;
    entry->first_line = code->co_firstlineno;
    entry->serial = ++walk->last_serial;
    if (!*full) { /* what found no room is looked up again, once there may be room */
        entry->code = code;
        filter_add(code);
    }
    return entry;
}

static uint32_t
walk_location(Walk *walk, Sites *sites, RawFrame frame, bool *full)
{
    if (Py_REFCNT(frame.code) <= 0) {
        return LOCATION_OTHER; /* dying: its names may be gone */
    }
    const CodeEntry *code = walk_code(walk, sites, frame.code, full);
    uint32_t hash = (code->serial * UINT32_C(0x9e3779b1)) ^ (uint32_t)frame.position;
    LineEntry *line = &walk->lines[hash & (LINE_CACHE_SIZE - 1)];
    if (line->serial == code->serial && line->position == frame.position) {
        return line->location;
    }
    Location location = {code->function, code->file,
                         (uint32_t)code_line(frame.code, frame.position)};
    uint32_t found = locations_intern(&sites->locations, location, full);
    if (!*full) {
        *line = (LineEntry){code->serial, frame.position, found};
    }
    return found;
}

/* Collects what is kept of the stack, innermost first. Of more than FRAMES_KEPT frames the last
 * FRAMES_OUTERMOST slots form a ring, `*walked` tells where it began. Frames beyond FRAMES_WALKED
 * are not visited: the outermost are unknown then, and `*walked` exceeds the limit. */
static uint32_t
walk_frames(PyThreadState *tstate, RawFrame kept[FRAMES_KEPT], uint32_t *walked)
{
    uint32_t count = 0;
    for (CompatFrame *frame = compat_top_frame(tstate); frame != NULL;
         frame = compat_previous_frame(frame)) {
        PyCodeObject *code = frame_code(frame);
        if (code == NULL) {
            continue;
        }
        if (count == FRAMES_WALKED) {
            count++;
            break;
        }
        uint32_t place = count < FRAMES_KEPT
                             ? count
                             : FRAMES_INNERMOST + (count - FRAMES_INNERMOST) % FRAMES_OUTERMOST;
        kept[place] = (RawFrame){code, compat_frame_position(frame, code)};
        count++;
    }
    *walked = count;
    return count < FRAMES_KEPT ? count : FRAMES_KEPT;
}

/* Returns the stack of the running thread. `*full`: a name, a line or the stack found no room. */
static uint32_t
walk_stack(Walk *walk, Sites *sites, PyThreadState *tstate, bool *full)
{
    RawFrame kept[FRAMES_KEPT];
    uint32_t locations[FRAMES_KEPT + 1];
    uint32_t walked;
    uint32_t count = walk_frames(tstate, kept, &walked);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = i;
        if (walked > FRAMES_KEPT && i >= FRAMES_INNERMOST) {
            if (i == FRAMES_INNERMOST) {
                locations[used++] = LOCATION_OMITTED;
            }
            if (walked > FRAMES_WALKED) {
                break;
            }
            place = FRAMES_INNERMOST + (walked + i - 2 * FRAMES_INNERMOST) % FRAMES_OUTERMOST;
        }
        locations[used++] = walk_location(walk, sites, kept[place], full);
    }
    return stacks_intern(&sites->stacks, locations, used, full);
}

static bool
walk_create(Walk *walk)
{
    memset(walk, 0, sizeof(*walk));
    walk->codes = memory_map_touched(CODE_CACHE_SIZE * sizeof(CodeEntry));
    walk->lines = memory_map_touched(LINE_CACHE_SIZE * sizeof(LineEntry));
    return walk->codes != NULL && walk->lines != NULL;
}

static void
walk_destroy(Walk *walk)
{
    memory_unmap(walk->codes, CODE_CACHE_SIZE * sizeof(CodeEntry));
    memory_unmap(walk->lines, LINE_CACHE_SIZE * sizeof(LineEntry));
    memset(walk, 0, sizeof(*walk));
}

#endif
