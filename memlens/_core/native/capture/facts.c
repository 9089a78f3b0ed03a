/* What a capture needs of Python, read before it begins. After a fork none of this may run. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/facts.h"
#include "base/frames.h"
#include "base/lookup.h"
#include "base/text.h"

#include <unistd.h>

traverseproc
find_python_traverse(void)
{
    PyObject *probe = PyObject_CallFunction((PyObject *)&PyType_Type, "s(){}", "_Probe");
    if (probe == NULL) {
        return NULL;
    }
    traverseproc traverse = ((PyTypeObject *)probe)->tp_traverse;
    Py_DECREF(probe);
    if (traverse == NULL) {
        PyErr_SetString(PyExc_ImportError, "classes of this interpreter are not traversed");
    }
    return traverse;
}

/* A newly tracked object is the last in the list of the youngest generation, so the head of the
 * list follows it, and the heads of the other lists follow that one. NULL with an exception set
 * if the lists are not there. */
static struct gc_generation *
find_generations(void)
{
    PyObject *probe = PyList_New(0);
    struct gc_generation *found = NULL;
    if (probe == NULL) {
        return NULL;
    }
    if (compat_is_tracked(probe)) {
        found = (struct gc_generation *)compat_gc_header(probe)->_gc_next;
    }
    Py_DECREF(probe);
    for (int i = 0; i < NUM_GENERATIONS && found != NULL; i++) {
        PyGC_Head *head = &found[i].head;
        PyGC_Head *next = (PyGC_Head *)(head->_gc_next & ~(uintptr_t)3);
        if (next == NULL || (next->_gc_prev & ~(uintptr_t)3) != (uintptr_t)head) {
            found = NULL;
        }
    }
    if (found == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the collector's lists are not where this version of CPython keeps them");
    }
    return found;
}

static PyObject *
module_namespace(PyObject *modules, const char *name)
{
    PyObject *module = namespace_get(modules, name);
    return module != NULL && PyModule_Check(module) ? ((PyModuleObject *)module)->md_dict : NULL;
}

static PyObject *
dict_of_module(PyObject *modules, const char *module, const char *name)
{
    PyObject *found = namespace_get(module_namespace(modules, module), name);
    return found != NULL && PyDict_CheckExact(found) ? found : NULL;
}

static int
numpy_major(PyObject *modules)
{
    PyObject *version = namespace_get(module_namespace(modules, "numpy"), "__version__");
    return text_starts_with(version, "1.") ? 1 : text_starts_with(version, "2.") ? 2 : 0;
}

/* The handlers of signals that are Python objects; the interpreter holds them. */
static void
read_signal_handlers(Facts *facts)
{
    PyObject *ask = namespace_get(module_namespace(facts->modules, "_signal"), "getsignal");
    if (ask == NULL || !PyCFunction_CheckExact(ask)) {
        return;
    }
    for (int number = 1; number < 65; number++) {
        PyObject *handler = PyObject_CallFunction(ask, "i", number);
        if (handler == NULL) {
            PyErr_Clear(); /* this number is no signal here */
            continue;
        }
        if (handler != Py_None && !PyLong_Check(handler)) {
            facts->signal_handlers[number] = handler;
        }
        Py_DECREF(handler);
    }
}

/* PyThreadState_GetFrame hides that there was no memory for a frame object. */
static int
all_frames_have_objects(PyThreadState *thread)
{
    for (CompatFrame *frame = compat_top_frame(thread); frame != NULL;
         frame = compat_previous_frame(frame)) {
        if (compat_frame_code(frame) != NULL && !_PyFrame_IsIncomplete(frame)
            && compat_frame_object(frame) == NULL) {
            return 0;
        }
    }
    return 1;
}

/* Since 3.11 a frame object is created only on request. Running frames are nodes of the graph,
 * so their objects are requested before the walk. */
static int
make_frame_objects(PyThreadState *first)
{
    PyThreadState *thread = first;
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        PyFrameObject *frame = PyThreadState_GetFrame(thread);
        while (frame != NULL) {
            PyFrameObject *back = PyFrame_GetBack(frame);
            Py_DECREF(frame);
            frame = back;
        }
        if (PyErr_Occurred()) {
            return -1;
        }
        if (!all_frames_have_objects(thread)) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

/* Read what may change while Python code runs. */
static int
read_process(Facts *facts)
{
    facts->process = getpid();
    facts->thread = PyThreadState_Get();
    facts->first_thread = compat_first_thread(facts->thread->interp);
    if (make_frame_objects(facts->first_thread) < 0) { /* first: what follows is borrowed */
        return -1;
    }
    facts->modules = PyImport_GetModuleDict();
    facts->builtins = PyEval_GetBuiltins();
    facts->sys_dict = module_namespace(facts->modules, "sys");
    facts->sys_module = namespace_get(facts->modules, "sys");
    facts->gc_dict = module_namespace(facts->modules, "gc");
    facts->warnings_dict = module_namespace(facts->modules, "_warnings");
    facts->running_threads = dict_of_module(facts->modules, "threading", "_active");
    facts->starting_threads = dict_of_module(facts->modules, "threading", "_limbo");
    memset(facts->signal_handlers, 0, sizeof facts->signal_handlers);
    read_signal_handlers(facts);
    facts->numpy_major = numpy_major(facts->modules);
    facts->generations = find_generations();
    return facts->generations == NULL ? -1 : 0;
}

int
prepare_facts(Facts *facts, PyObject *own_prefix, int values, Py_ssize_t skip_frames,
              traverseproc python_traverse)
{
    memset(facts, 0, sizeof *facts);
    if (skip_frames < 0) {
        PyErr_Format(PyExc_ValueError, "skip_frames must not be negative, not %zd", skip_frames);
        return -1;
    }
    facts->own_prefix
        = own_prefix != NULL && PyUnicode_GET_LENGTH(own_prefix) > 0 ? own_prefix : NULL;
    strcpy(facts->own_package, "memlens");
    strcpy(facts->lent_package, "memlens.structures");
    facts->values = values;
    facts->skip_frames = skip_frames > INT_MAX ? INT_MAX : (int)skip_frames;
    facts->python_traverse = python_traverse;
    return read_process(facts);
}

int
refresh_facts(Facts *facts)
{
    return read_process(facts);
}

#endif
