/* capture(): as Python calls it. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/facts.h"
#include "capture/measuring.h"
#include "capture/module.h"
#include "capture/run.h"
#include "capture/sections.h"
#include "io/sections.h"

static PyObject *
sections_as_dict(ModuleState *state, Buffer *sections)
{
    PyObject *found = PyDict_New();
    for (int i = 0; i < SECTION_COUNT && found != NULL; i++) {
        PyObject *view = section_view((PyTypeObject *)state->section_type, &sections[i],
                                      section_names[i].typecode);
        if (view == NULL || PyDict_SetItemString(found, section_names[i].name, view) < 0) {
            Py_CLEAR(found);
        }
        Py_XDECREF(view);
    }
    free_sections(sections);
    return found;
}

/* Returns NULL without an exception, and sets `objects`, where adapters must be asked first. */
static PyObject *
capture_with(ModuleState *state, const Facts *facts, PyObject **objects)
{
    Capture *capture = PyMem_RawMalloc(sizeof *capture);
    if (capture == NULL) {
        return PyErr_NoMemory();
    }
    Buffer sections[SECTION_COUNT];
    int failed = capture_init(capture, facts) < 0;
    if (!failed && facts->measure != NULL && facts->measured == NULL) {
        capture->on_measure = stop_to_measure;
        capture->listener = objects;
    }
    failed = failed || capture_run(capture) < 0 || take_sections(capture, sections) < 0;
    capture_free(capture);
    PyMem_RawFree(capture);
    if (failed && *objects == NULL && !PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    return failed ? NULL : sections_as_dict(state, sections);
}

/* The objects that adapters were asked about live on until the capture is done. The collector is off
 * in a capture, and as the program has set it while Python code runs. */
static PyObject *
measure_and_capture(ModuleState *state, Facts *facts, int *was_on)
{
    PyObject *objects = NULL;
    PyObject *found = capture_with(state, facts, &objects);
    if (objects != NULL) {
        Buffer chunks = {NULL, 0, 0};
        PyObject *none = NULL;
        if (*was_on) {
            PyGC_Enable();
        }
        int failed = measure_here(facts, objects, &chunks) < 0;
        *was_on = PyGC_Disable();
        if (!failed && refresh_facts(facts) == 0) {
            found = capture_with(state, facts, &none);
        }
        buffer_free(&chunks);
        Py_DECREF(objects);
    }
    return found;
}

PyObject *
capture_capture(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"values", "own_prefix", "skip_frames", "blocks", "native_types", "measure",
                            NULL};
    ModuleState *state = module_state(module);
    PyObject *own_prefix = NULL, *native_types = NULL, *measure = NULL;
    Py_ssize_t skip_frames = 0;
    const char *blocks = NULL;
    Py_ssize_t block_bytes = 0;
    int values = 0;
    Facts facts;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$pUny#O!O:capture", names, &values, &own_prefix,
                                     &skip_frames, &blocks, &block_bytes, &PyTuple_Type,
                                     &native_types, &measure)) {
        return NULL;
    }
    if (kwargs != NULL && Py_REFCNT(kwargs) == 1) {
        PyObject_GC_UnTrack(kwargs); /* made for this call: it is not an object of the program */
    }
    int was_on = PyGC_Disable(), failed;
    failed = prepare_facts(&facts, own_prefix, values, skip_frames, state->python_traverse) < 0;
    set_blocks(&facts, blocks, block_bytes);
    set_adapters(&facts, native_types, measure);
    PyObject *found = failed ? NULL : measure_and_capture(state, &facts, &was_on);
    if (was_on) {
        PyGC_Enable();
    }
    return found;
}

#endif
