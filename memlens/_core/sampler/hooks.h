/* The hooks on CPython's allocators: fast paths, installing, removing.
 *
 * A hook may be called long after it was removed: another tool that hooked after us has saved ours
 * and puts it back when it stops. So hooks are static, never reused for another allocator while they
 * may be in somebody's chain, and pass everything through when the sampler is off.
 *
 * RAW is not hooked: it has no GIL, and blocks of PyMem and PyObject above 512 bytes come from it,
 * so that they would be counted twice. */

#ifndef MEMLENS_SAMPLER_HOOKS_H
#define MEMLENS_SAMPLER_HOOKS_H

#include <pthread.h>
#include <stdio.h>

#include "tracker.h"

#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define HOOKS_PER_DOMAIN 4

typedef struct {
    PyMemAllocatorEx inner; /* where calls go on to */
    int64_t left;           /* bytes until the next sample */
    uint32_t domain;
    bool installed; /* may be in a chain of allocators: `inner` must not change */
    bool sampling;
} __attribute__((aligned(64))) Hook;

static Hook hooks[DOMAIN_COUNT][HOOKS_PER_DOMAIN];
static const PyMemAllocatorDomain domains[DOMAIN_COUNT] = {PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
static uint64_t drawn_interval_bytes; /* the interval that the `left` of all hooks were drawn for */

/* Relaxed atomics cost nothing on top of a plain load and store, and keep threads without the GIL
 * defined: they may lose an update, which shifts a sampling point, no more. */
static inline int64_t
hook_left(const Hook *hook)
{
    return __atomic_load_n(&hook->left, __ATOMIC_RELAXED);
}

static inline void
hook_set_left(Hook *hook, int64_t left)
{
    __atomic_store_n(&hook->left, left, __ATOMIC_RELAXED);
}

/* Counts a block; true where it is to be sampled. */
static inline bool
hook_count(Hook *hook, size_t size_bytes)
{
    int64_t left = (int64_t)((uint64_t)hook_left(hook) - (uint64_t)size_bytes - 1);
    hook_set_left(hook, left);
    return UNLIKELY(left < 0);
}

static void
hooks_draw(void)
{
    drawn_interval_bytes = tracker.interval_bytes;
    for (uint32_t domain = 0; domain < DOMAIN_COUNT; domain++) {
        for (uint32_t i = 0; i < HOOKS_PER_DOMAIN; i++) {
            Hook *hook = &hooks[domain][i];
            int64_t left = prng_distance(&tracker.prng, tracker.interval_bytes);
            hook_set_left(hook, hook->sampling ? left : INT64_MAX);
        }
    }
}

/* Distances are drawn anew for both domains when the interval changes: the old ones were drawn for
 * other probabilities than their samples would be weighted with. */
static void
hook_sample(Hook *hook, const void *block, size_t size_bytes)
{
    if (!hook->sampling) {
        hook_set_left(hook, INT64_MAX);
        return;
    }
    hook_set_left(hook, tracker_sample(block, size_bytes, hook->domain));
    if (UNLIKELY(tracker.interval_bytes != drawn_interval_bytes)) {
        tracker_lock();
        hooks_draw();
        tracker_unlock();
    }
}

static OUT_OF_LINE void *
sampled_malloc(Hook *hook, size_t size_bytes)
{
    void *block = hook->inner.malloc(hook->inner.ctx, size_bytes);
    hook_sample(hook, block, size_bytes);
    return block;
}

static OUT_OF_LINE void *
sampled_calloc(Hook *hook, size_t count, size_t item_bytes)
{
    void *block = hook->inner.calloc(hook->inner.ctx, count, item_bytes);
    hook_sample(hook, block, count * item_bytes);
    return block;
}

/* A block that moves is a free and an allocation, also where it grows in its place. realloc(p, 0)
 * that gives NULL may have freed the block, so it is not put back. */
static OUT_OF_LINE void *
watched_realloc(Hook *hook, void *old, size_t size_bytes, bool due)
{
    Sample taken;
    bool known = old != NULL && filter_may_hold(old) && tracker_take(old, &taken);
    void *block = hook->inner.realloc(hook->inner.ctx, old, size_bytes);
    if (block == NULL && known && size_bytes > 0) {
        tracker_put_back(&taken);
    }
    if (due) {
        hook_sample(hook, block, size_bytes);
    }
    return block;
}

static OUT_OF_LINE void
watched_free(Hook *hook, void *block)
{
    Sample taken;
    tracker_take(block, &taken); /* before the free: afterwards the address may be another's */
    hook->inner.free(hook->inner.ctx, block);
}

static void *
hook_malloc(void *context, size_t size_bytes)
{
    Hook *hook = context;
    if (hook_count(hook, size_bytes)) {
        return sampled_malloc(hook, size_bytes);
    }
    return hook->inner.malloc(hook->inner.ctx, size_bytes);
}

static void *
hook_calloc(void *context, size_t count, size_t item_bytes)
{
    Hook *hook = context;
    if (hook_count(hook, count * item_bytes)) {
        return sampled_calloc(hook, count, item_bytes);
    }
    return hook->inner.calloc(hook->inner.ctx, count, item_bytes);
}

static void *
hook_realloc(void *context, void *old, size_t size_bytes)
{
    Hook *hook = context;
    bool due = hook_count(hook, size_bytes);
    if (due || UNLIKELY(filter_may_hold(old))) {
        return watched_realloc(hook, old, size_bytes, due);
    }
    return hook->inner.realloc(hook->inner.ctx, old, size_bytes);
}

static void
hook_free(void *context, void *block)
{
    Hook *hook = context;
    if (UNLIKELY(filter_may_hold(block))) {
        watched_free(hook, block);
        return;
    }
    hook->inner.free(hook->inner.ctx, block);
}

/* The hook of ours that is on top of a domain, or NULL. */
static Hook *
hook_on_top(uint32_t domain)
{
    PyMemAllocatorEx top;
    PyMem_GetAllocator(domains[domain], &top);
    for (uint32_t i = 0; i < HOOKS_PER_DOMAIN; i++) {
        if (top.ctx == &hooks[domain][i] && top.malloc == hook_malloc) {
            return &hooks[domain][i];
        }
    }
    return NULL;
}

/* The hook of ours that calls reach through others that hooked after us, or NULL: found by
 * allocating, and looking whose count has moved. Several may be reached; one must count. */
static Hook *
hook_reached(uint32_t domain)
{
    int64_t before[HOOKS_PER_DOMAIN];
    Hook *reached = NULL;
    for (uint32_t i = 0; i < HOOKS_PER_DOMAIN; i++) {
        before[i] = hook_left(&hooks[domain][i]);
        hook_set_left(&hooks[domain][i], INT64_MAX);
    }
    void *block = domains[domain] == PYMEM_DOMAIN_OBJ ? PyObject_Malloc(64) : PyMem_Malloc(64);
    for (uint32_t i = 0; i < HOOKS_PER_DOMAIN; i++) {
        Hook *hook = &hooks[domain][i];
        if (hook_left(hook) != INT64_MAX && (reached == NULL || hook->sampling)) {
            reached = hook;
        }
        hook_set_left(hook, before[i]);
    }
    if (domains[domain] == PYMEM_DOMAIN_OBJ) {
        PyObject_Free(block);
    }
    else {
        PyMem_Free(block);
    }
    return reached;
}

/* A hook for a domain where none of ours is reached: one that is in no chain, else the one whose
 * installation lies back farthest. Somebody may still have saved that one; put back, it goes on to
 * what it wraps now, which is as good an allocator as what it wrapped before. */
static Hook *
hook_unused(uint32_t domain)
{
    static uint32_t next[DOMAIN_COUNT];
    for (uint32_t i = 0; i < HOOKS_PER_DOMAIN; i++) {
        if (!hooks[domain][i].installed) {
            return &hooks[domain][i];
        }
    }
    return &hooks[domain][next[domain]++ % HOOKS_PER_DOMAIN];
}

static Hook *
hook_install(uint32_t domain)
{
    Hook *hook = hook_unused(domain);
    PyMemAllocatorEx ours = {hook, hook_malloc, hook_calloc, hook_realloc, hook_free};
    PyMem_GetAllocator(domains[domain], &hook->inner);
    hook->domain = domain;
    hook_set_left(hook, INT64_MAX);
    PyMem_SetAllocator(domains[domain], &ours);
    return hook;
}

static Hook *
hook_find(uint32_t domain)
{
    Hook *hook = hook_on_top(domain);
    return hook != NULL ? hook : hook_reached(domain);
}

/* Stops counting. The hook comes off where it is on top; else it stays and passes through. */
static void
hook_remove(uint32_t domain)
{
    for (uint32_t i = 0; i < HOOKS_PER_DOMAIN; i++) {
        hooks[domain][i].sampling = false;
        hook_set_left(&hooks[domain][i], INT64_MAX);
    }
    Hook *top = hook_on_top(domain);
    if (top != NULL) {
        PyMem_SetAllocator(domains[domain], &top->inner);
        top->installed = false;
    }
}

static void
hooks_start(void)
{
    Hook *found[DOMAIN_COUNT];
    for (uint32_t domain = 0; domain < DOMAIN_COUNT; domain++) {
        found[domain] = hook_find(domain);
        if (found[domain] == NULL) {
            found[domain] = hook_install(domain);
        }
    }
    tracker_lock();
    for (uint32_t domain = 0; domain < DOMAIN_COUNT; domain++) {
        found[domain]->installed = true;
        found[domain]->sampling = true;
    }
    hooks_draw();
    tracker_unlock();
}

static void
hooks_stop(void)
{
    for (uint32_t domain = 0; domain < DOMAIN_COUNT; domain++) {
        hook_remove(domain);
    }
}

/* Calls a function that neither allocates nor frees objects, nor lets go of the GIL, while the hook
 * on the object domain is off. Otherwise blocks would pass by the hook unseen. */
static int
hooks_bypass_objects(int (*function)(FILE *), FILE *stream)
{
    PyMemAllocatorEx ours;
    Hook *top = hook_on_top(DOMAIN_COUNT - 1);
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &ours);
    if (top != NULL) {
        PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &top->inner);
    }
    int result = function(stream);
    if (top != NULL) {
        PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &ours);
    }
    return result;
}

/* How the hooks of a domain stand, in a word for `health()`. */
static const char *
hook_state(uint32_t domain)
{
    Hook *top = hook_on_top(domain);
    if (top != NULL) {
        return top->sampling ? "installed" : "passthrough";
    }
    bool counts = false, installed = false;
    for (uint32_t i = 0; i < HOOKS_PER_DOMAIN; i++) {
        counts |= hooks[domain][i].sampling;
        installed |= hooks[domain][i].installed;
    }
    Hook *reached = installed ? hook_reached(domain) : NULL;
    if (!counts) {
        return reached != NULL ? "passthrough" : "off"; /* off: lost with another tool's hooks */
    }
    return reached != NULL && reached->sampling ? "covered" : "bypassed";
}

/* Runs in a forked child, perhaps after fork handlers of other libraries that allocated. Of the
 * threads whose allocations are left out, only the one that forked is in the child. */
static void
fork_child(void)
{
    PyThreadState *tstate = thread_state_here();
    uint64_t here = tstate != NULL ? thread_state_number(tstate) + 1 : 0;
    tracker_lock(); /* takes over a lock whose holder exists only in the parent */
    __atomic_store_n(&tracker.pid, getpid(), __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < SUPPRESSED_THREADS; i++) {
        tracker.suppressed[i] = tracker.suppressed[i] == here ? here : 0;
    }
    prng_stir(&tracker.prng);
    hooks_draw();
    tracker_unlock();
}

#endif
