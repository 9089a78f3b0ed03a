/* memlens._core._sampler: samples allocations by hooks on CPython's PyMem and PyObject domains.
 *
 * One translation unit; each header has one subject:
 *
 *   prng      random numbers                    sites    buckets: stack, domain, thread, sums
 *   memory    pages for the tables              samples  live samples by address
 *   filter    tells if an address is watched    walk     from frames to a stack, with caches
 *   index     hashing to rows                   tracker  the sampler and its bounds
 *   strings   names, as UTF-8                   compact  making room in full tables
 *   stacks    locations and stacks              hooks    allocator hooks, fork handlers
 *   frames    what depends on the CPython       export   columns of bytes
 *             minor version
 *
 * This file has the functions of the module. Their callers in Python check the arguments. */

#define PY_SSIZE_T_CLEAN
#include "frames.h"

#if SAMPLER_SUPPORTED

#include <dlfcn.h>
#include <stdio.h>

#include "export.h"
#include "hooks.h"

/* The module's own state: whether a sampler started through it is running. The sampler itself is
 * the process's (see tracker.h). */
typedef struct {
    bool started;
} ModuleState;

static ModuleState *
state_of(PyObject *module)
{
    return PyModule_GetState(module);
}

static bool
register_fork_handlers(void)
{
    static bool registered; /* once in a process: handlers cannot be taken back */
    if (!registered) {
        registered = pthread_atfork(NULL, NULL, fork_child) == 0;
    }
    return registered;
}

PyDoc_STRVAR(start_doc,
             "start(interval_bytes, capacity, seed)\n--\n\n"
             "Begin to sample, with empty tables of `capacity` live samples; seed 0: a random one.");

static PyObject *
start(PyObject *module, PyObject *arguments)
{
    unsigned long long interval_bytes, seed;
    unsigned int capacity;
    if (!PyArg_ParseTuple(arguments, "KIK:start", &interval_bytes, &capacity, &seed)) {
        return NULL;
    }
    if (interval_bytes < 1 || interval_bytes > (1ULL << 56) || capacity < 64 ||
        capacity > (1U << 26)) {
        PyErr_SetString(PyExc_ValueError, "interval_bytes or capacity is out of range");
        return NULL;
    }
    if (tracker.ready) {
        PyErr_SetString(PyExc_RuntimeError, "the sampler is running already");
        return NULL;
    }
    if (!register_fork_handlers() || !tracker_create(interval_bytes, capacity, seed)) {
        return PyErr_NoMemory();
    }
    hooks_start();
    state_of(module)->started = true;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(stop_doc, "stop()\n--\n\nEnd sampling, remove the hooks where possible, drop all data.");

static PyObject *
stop(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    hooks_stop();
    tracker_destroy();
    state_of(module)->started = false;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(set_interval_doc, "set_interval(interval_bytes)\n--\n\nSample at this interval from now.");

static PyObject *
set_interval(PyObject *Py_UNUSED(module), PyObject *argument)
{
    unsigned long long interval_bytes = PyLong_AsUnsignedLongLong(argument);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (interval_bytes < 1 || interval_bytes > (1ULL << 56)) {
        PyErr_SetString(PyExc_ValueError, "interval_bytes is out of range");
        return NULL;
    }
    tracker_lock();
    tracker.interval_bytes = interval_bytes;
    hooks_draw();
    tracker_unlock();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(suppress_doc,
             "suppress(on)\n--\n\n"
             "Leave the running thread's allocations out (or in again); false if it already was so.");

static PyObject *
suppress(PyObject *Py_UNUSED(module), PyObject *argument)
{
    int on = PyObject_IsTrue(argument);
    if (on < 0) {
        return NULL;
    }
    PyThreadState *tstate = thread_state_here();
    uint64_t key = (tstate != NULL ? thread_state_number(tstate) : 0) + 1;
    uint64_t wanted = on ? key : 0, present = on ? 0 : key;
    bool changed = false;
    tracker_lock();
    bool already = tracker_is_suppressed(key - 1);
    for (uint32_t i = 0; i < SUPPRESSED_THREADS && already != (bool)on && !changed; i++) {
        if (tracker.suppressed[i] == present) {
            tracker.suppressed[i] = wanted;
            changed = true;
        }
    }
    tracker_unlock();
    return PyBool_FromLong(changed);
}

PyDoc_STRVAR(now_ns_doc, "now_ns()\n--\n\nThe clock of `sample_birth_ns`.");

static PyObject *
now_ns(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(clock_ns(CLOCK_OF_BIRTHS));
}

PyDoc_STRVAR(forget_sums_doc,
             "forget_sums()\n--\n\nBegin the sums of what was allocated again; live samples stay.");

static PyObject *
forget_sums(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    tracker_forget_sums();
    Py_RETURN_NONE;
}

typedef int (*AddColumns)(PyObject *columns, const Copy *copy);

static PyObject *
export_columns(PyObject *since_number, AddColumns add)
{
    unsigned long long since = PyLong_AsUnsignedLongLong(since_number);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (!tracker.ready) {
        PyErr_SetString(PyExc_RuntimeError, "the sampler is not running");
        return NULL;
    }
    Copy copy;
    PyObject *columns = NULL;
    if (!copy_tracker(&copy, since)) {
        PyErr_NoMemory();
    }
    else {
        columns = PyDict_New();
        if (columns != NULL && (add_tables(columns, &copy) || add_buckets(columns, &copy) ||
                                (add != NULL && add(columns, &copy)))) {
            Py_CLEAR(columns);
        }
    }
    copy_release(&copy);
    return columns;
}

PyDoc_STRVAR(site_tables_doc,
             "site_tables(since)\n--\n\n"
             "Columns of strings, locations, stacks and buckets; live sums of samples from number "
             "`since` on.");

static PyObject *
site_tables(PyObject *Py_UNUSED(module), PyObject *since)
{
    return export_columns(since, NULL);
}

PyDoc_STRVAR(sample_tables_doc,
             "sample_tables(since)\n--\n\n"
             "The columns of site_tables(), and those of the live samples from number `since` on.");

static PyObject *
sample_tables(PyObject *Py_UNUSED(module), PyObject *since)
{
    return export_columns(since, add_samples);
}

PyDoc_STRVAR(threads_doc,
             "threads()\n--\n\nThe thread states of this interpreter: (number, get_ident()).");

static PyObject *
threads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    uint64_t numbers[1024], idents[1024];
    int count = 0;
    /* Collected first: making the list could let go of the GIL. */
    PyThreadState *tstate = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; tstate != NULL && count < 1024; tstate = PyThreadState_Next(tstate)) {
        numbers[count] = thread_state_number(tstate);
        idents[count++] = thread_state_ident(tstate);
    }
    PyObject *list = PyList_New(count);
    for (int i = 0; list != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("(KK)", (unsigned long long)numbers[i],
                                       (unsigned long long)idents[i]);
        if (pair == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, pair);
    }
    return list;
}

PyDoc_STRVAR(health_doc, "health()\n--\n\nCounters and states of the sampler.");

static PyObject *
health(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    tracker_lock();
    bool running = tracker.ready;
    Counters counters = tracker.counters;
    unsigned long long interval_bytes = tracker.interval_bytes;
    unsigned int live = tracker.samples.count, capacity = tracker.samples.capacity;
    double load = running ? sites_load(&tracker.sites) : 0.0;
    tracker_unlock();
    double slow_ns = counters.timed_samples == 0 ? 0.0
                                                 : (double)counters.timed_ns /
                                                       (double)counters.timed_samples *
                                                       (double)counters.samples;
    return Py_BuildValue(
        "{s:O, s:s, s:s, s:K, s:I, s:I, s:d, s:d, s:K, s:K, s:K, s:K, s:K, s:K, s:K, s:K, s:K, s:K, "
        "s:K, s:K}",
        "running", running ? Py_True : Py_False, "mem_hook", hook_state(0), "object_hook",
        hook_state(1), "interval_bytes", interval_bytes, "live_samples", live, "capacity",
        capacity, "site_table_load", load, "slow_path_seconds", slow_ns * 1e-9, "samples",
        (unsigned long long)counters.samples, "dropped_samples",
        (unsigned long long)counters.dropped_samples, "thinnings",
        (unsigned long long)counters.thinnings, "compactions",
        (unsigned long long)counters.compactions, "evicted_buckets",
        (unsigned long long)counters.evicted_buckets, "unplaced_samples",
        (unsigned long long)counters.unplaced_samples, "replaced_samples",
        (unsigned long long)counters.replaced_samples, "freed_samples",
        (unsigned long long)counters.frees_of_samples, "filter_hits",
        (unsigned long long)counters.filter_hits, "native_samples",
        (unsigned long long)counters.native_samples, "suppressed_samples",
        (unsigned long long)counters.suppressed_samples, "lost_tables",
        (unsigned long long)counters.lost_tables);
}

PyDoc_STRVAR(pymalloc_statistics_doc,
             "pymalloc_statistics()\n--\n\nThe text of pymalloc's own statistics, '' if it is not in "
             "use, None if this Python\ncannot report them. CPython reports them only while nothing "
             "hooks pymalloc, so the hook of this\nmodule is bypassed meanwhile.");

static PyObject *
pymalloc_statistics(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    /* Looked up at run time: a Python without pymalloc does not have it. */
    int (*print_statistics)(FILE *) =
        (int (*)(FILE *))dlsym(RTLD_DEFAULT, "_PyObject_DebugMallocStats");
    if (print_statistics == NULL) {
        Py_RETURN_NONE;
    }
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL) {
        return PyErr_NoMemory();
    }
    bool used = hooks_bypass_objects(print_statistics, stream);
    if (fclose(stream) != 0) {
        free(text);
        return PyErr_NoMemory();
    }
    PyObject *result = PyUnicode_DecodeUTF8(text, used ? (Py_ssize_t)length : 0, "replace");
    free(text);
    return result;
}

static PyMethodDef methods[] = {
    {"start", start, METH_VARARGS, start_doc},
    {"stop", stop, METH_NOARGS, stop_doc},
    {"set_interval", set_interval, METH_O, set_interval_doc},
    {"suppress", suppress, METH_O, suppress_doc},
    {"now_ns", now_ns, METH_NOARGS, now_ns_doc},
    {"forget_sums", forget_sums, METH_NOARGS, forget_sums_doc},
    {"site_tables", site_tables, METH_O, site_tables_doc},
    {"sample_tables", sample_tables, METH_O, sample_tables_doc},
    {"threads", threads, METH_NOARGS, threads_doc},
    {"health", health, METH_NOARGS, health_doc},
    {"pymalloc_statistics", pymalloc_statistics, METH_NOARGS, pymalloc_statistics_doc},
    {NULL, NULL, 0, NULL},
};

/* A module that goes away stops what it started: the interpreter that it belongs to is ending. */
static void
module_free(void *module)
{
    ModuleState *state = state_of(module);
    if (state != NULL && state->started) {
        hooks_stop();
        tracker_destroy();
    }
}

#define MODULE_STATE_BYTES sizeof(ModuleState)
#define MODULE_FREE module_free
#define MODULE_METHODS methods

#else

#define MODULE_STATE_BYTES 0
#define MODULE_FREE NULL
#define MODULE_METHODS NULL

#endif

static int
module_exec(PyObject *module)
{
#if SAMPLER_SUPPORTED
    (void)module;
    if (!is_built_for_this_python()) {
        PyErr_SetString(PyExc_ImportError,
                        "memlens._core._sampler was built for another version of Python, so "
                        "allocations cannot be sampled in this one");
        return -1;
    }
    return 0;
#else
    (void)module;
    PyErr_SetString(PyExc_ImportError,
                    "memlens._core._sampler supports " SAMPLER_BUILDS "; this build is of another "
                    "kind, so allocations cannot be sampled in it");
    return -1;
#endif
}

/* Where the sampler only refuses to be imported, it must not turn the GIL of a free-threaded build
 * on, as a module without the second slot does. */
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if !SAMPLER_SUPPORTED && defined(Py_mod_gil)
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "memlens._core._sampler",
    .m_doc = "Samples allocations by hooks on the PyMem and PyObject domains.",
    .m_size = MODULE_STATE_BYTES,
    .m_methods = MODULE_METHODS,
    .m_slots = slots,
    .m_free = MODULE_FREE,
};

PyMODINIT_FUNC
PyInit__sampler(void)
{
    return PyModuleDef_Init(&definition);
}
