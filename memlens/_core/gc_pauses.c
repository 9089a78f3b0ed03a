/* memlens._core._gc_pauses: measures the pauses of the garbage collector by an entry in gc.callbacks.
 *
 * In C, because the collector calls its callbacks at the end of every collection, and up to CPython
 * 3.11 a collection may begin in any allocation, in the middle of C code that expects no other thread
 * to run (a parser, a dict that is being resized). A callback in Python enters the evaluation loop,
 * which may let another thread have the GIL. This one does not: it reads a clock and stores numbers.
 * After a full collection it calls sys.getallocatedblocks, a C function too.
 *
 * Collections do not overlap, so one start time is enough. In builds without the GIL the numbers are
 * read by other threads while they change, hence the atomics: each number is whole, and that the sum
 * of a pause may be seen before its count does no harm. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <time.h>

#define READ(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define WRITE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define BLOCKS_UNKNOWN (-1)

typedef struct {
    PyObject ob_base;
    uint64_t count, total_ns, longest_ns;
    uint64_t started_ns;       /* of the collection that is running; 0: none that we saw start */
    int64_t clean_blocks;      /* right after the last full collection, until taken */
    PyObject *generation_key;  /* "generation" */
    PyObject *count_blocks;    /* sys.getallocatedblocks, or NULL where it is not a C function */
} PauseCounter;

static uint64_t
clock_ns(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void
reset(PauseCounter *self)
{
    WRITE(self->count, 0);
    WRITE(self->total_ns, 0);
    WRITE(self->longest_ns, 0);
    WRITE(self->started_ns, 0);
    WRITE(self->clean_blocks, BLOCKS_UNKNOWN);
}

static PyObject *
counter_new(PyTypeObject *type, PyObject *Py_UNUSED(arguments), PyObject *Py_UNUSED(keywords))
{
    PauseCounter *self = (PauseCounter *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    reset(self);
    self->generation_key = PyUnicode_InternFromString("generation");
    PyObject *count_blocks = PySys_GetObject("getallocatedblocks"); /* borrowed */
    if (count_blocks != NULL && PyCFunction_Check(count_blocks)) {
        self->count_blocks = Py_NewRef(count_blocks);
    }
    if (self->generation_key == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
counter_dealloc(PyObject *object)
{
    PauseCounter *self = (PauseCounter *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->generation_key);
    Py_XDECREF(self->count_blocks);
    type->tp_free(object);
    Py_DECREF(type);
}

static void
note_clean_blocks(PauseCounter *self)
{
    if (self->count_blocks == NULL) {
        return;
    }
    PyObject *blocks = PyObject_CallNoArgs(self->count_blocks);
    if (blocks != NULL) {
        WRITE(self->clean_blocks, (int64_t)PyLong_AsSsize_t(blocks));
        Py_DECREF(blocks);
    }
    PyErr_Clear();
}

static int
is_full_collection(PauseCounter *self, PyObject *info)
{
    PyObject *generation = PyDict_CheckExact(info)
                               ? PyDict_GetItemWithError(info, self->generation_key)
                               : NULL; /* borrowed */
    int full = generation != NULL && PyLong_CheckExact(generation) && PyLong_AsLong(generation) == 2;
    PyErr_Clear();
    return full;
}

PyDoc_STRVAR(callback_doc,
             "callback(phase, info, /)\n--\n\nEntry for gc.callbacks. Runs no Python code.");

static PyObject *
counter_callback(PyObject *object, PyObject *const *arguments, Py_ssize_t argument_count)
{
    PauseCounter *self = (PauseCounter *)object;
    if (argument_count != 2 || !PyUnicode_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "callback() takes a phase and a dict");
        return NULL;
    }
    if (PyUnicode_CompareWithASCIIString(arguments[0], "start") == 0) {
        WRITE(self->started_ns, clock_ns());
        Py_RETURN_NONE;
    }
    uint64_t started_ns = READ(self->started_ns);
    if (started_ns != 0) { /* 0: added to gc.callbacks while a collection was running */
        uint64_t pause_ns = clock_ns() - started_ns;
        WRITE(self->started_ns, 0);
        WRITE(self->total_ns, READ(self->total_ns) + pause_ns);
        if (pause_ns > READ(self->longest_ns)) {
            WRITE(self->longest_ns, pause_ns);
        }
        WRITE(self->count, READ(self->count) + 1);
    }
    if (is_full_collection(self, arguments[1])) {
        note_clean_blocks(self);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(clear_doc, "clear()\n--\n\nSet all numbers to zero.");

static PyObject *
counter_clear(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    reset((PauseCounter *)self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(take_doc,
             "take_clean_blocks()\n--\n\n"
             "Return the allocated blocks right after the last full collection, once; else None.");

static PyObject *
counter_take_clean_blocks(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    int64_t blocks = __atomic_exchange_n(&((PauseCounter *)self)->clean_blocks, BLOCKS_UNKNOWN,
                                         __ATOMIC_RELAXED);
    if (blocks < 0) {
        Py_RETURN_NONE;
    }
    return PyLong_FromLongLong(blocks);
}

static PyObject *
counter_count(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(READ(((PauseCounter *)self)->count));
}

static PyObject *
counter_total_seconds(PyObject *self, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble((double)READ(((PauseCounter *)self)->total_ns) * 1e-9);
}

static PyObject *
counter_longest_seconds(PyObject *self, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble((double)READ(((PauseCounter *)self)->longest_ns) * 1e-9);
}

static PyMethodDef counter_methods[] = {
    {"callback", (PyCFunction)(void (*)(void))counter_callback, METH_FASTCALL, callback_doc},
    {"clear", counter_clear, METH_NOARGS, clear_doc},
    {"take_clean_blocks", counter_take_clean_blocks, METH_NOARGS, take_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef counter_getset[] = {
    {"count", counter_count, NULL, "The number of collections.", NULL},
    {"total_seconds", counter_total_seconds, NULL, "The sum of their pauses.", NULL},
    {"longest_seconds", counter_longest_seconds, NULL, "The longest pause.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(counter_doc, "PauseCounter()\n--\n\n"
                          "Counts collections and sums their pauses while `callback` is in "
                          "gc.callbacks.");

static PyType_Slot counter_slots[] = {
    {Py_tp_doc, (void *)counter_doc},
    {Py_tp_new, counter_new},
    {Py_tp_dealloc, counter_dealloc},
    {Py_tp_methods, counter_methods},
    {Py_tp_getset, counter_getset},
    {0, NULL},
};

static PyType_Spec counter_spec = {
    .name = "memlens._core._gc_pauses.PauseCounter",
    .basicsize = sizeof(PauseCounter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = counter_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &counter_spec, NULL);
    int failed = type == NULL || PyModule_AddObjectRef(module, "PauseCounter", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "memlens._core._gc_pauses",
    .m_doc = "Measures the pauses of the garbage collector without running Python code.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__gc_pauses(void)
{
    return PyModuleDef_Init(&definition);
}
