/* memlens._core._capture: the capture in C, which reads the internals of CPython.
 *
 * Multi-phase initialisation; all state is in the module. On an interpreter that compat.h does not
 * know the import raises ImportError, and memlens captures in pure Python. */
#include "base/compat.h"

#if !MEMLENS_SUPPORTED

static int
module_exec(PyObject *module)
{
    (void)module;
    PyErr_SetString(PyExc_ImportError,
                    "the C capture of memlens supports " MEMLENS_BUILDS
                    ": this interpreter captures in pure Python instead");
    return -1;
}

/* A module without the last slot turns the GIL of a free-threaded build on, even if its import fails. */
static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "memlens._core._capture",
    .m_slots = module_slots,
};

#else

#include "capture/facts.h"
#include "capture/module.h"
#include "io/sections.h"

#include <dlfcn.h>

static int
refuse(const char *what)
{
    PyErr_Format(PyExc_ImportError, "the C capture of memlens was built for CPython 3.%d, %s",
                 MEMLENS_MINOR, what);
    return -1;
}

/* Structures of one minor version must not be read with the layout of another. */
static int
check_interpreter(void)
{
    PyObject *version = PySys_GetObject("hexversion"); /* borrowed */
    long found = version == NULL ? 0 : PyLong_AsLong(version);
    if (found == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (((found >> 16) & 0xff) != MEMLENS_MINOR || (found >> 24) != 3) {
        return refuse("but is loaded by another version");
    }
    if (!compat_version_is_known((unsigned long)found)) {
        return refuse("but not for this release of it, which has another garbage collector");
    }
    return 0;
}

/* Load what glibc needs to end a thread before its function returns, as CPython before 3.14 ends daemon
 * threads at exit. glibc loads it then, and aborts where there is no memory for it: at a limit. */
static void
load_unwinder(void)
{
#if MEMLENS_MINOR < 14 && defined(__GLIBC__)
    (void)dlopen("libgcc_s.so.1", RTLD_LAZY);
#endif
}

static int
module_exec(PyObject *module)
{
    ModuleState *state = module_state(module);
    if (check_interpreter() < 0) {
        return -1;
    }
    load_unwinder();
    state->section_type = make_section_type(module);
    state->python_traverse = find_python_traverse();
    if (state->python_traverse == NULL) {
        return -1;
    }
    return state->section_type == NULL ? -1 : 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    ModuleState *state = module_state(module);
    Py_VISIT(state->section_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    ModuleState *state = module_state(module);
    Py_CLEAR(state->section_type);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

#define FUNCTION(name, doc)                                                                         \
    {#name, (PyCFunction)(void (*)(void))capture_##name, METH_VARARGS | METH_KEYWORDS, doc}

static PyMethodDef module_functions[] = {
    FUNCTION(capture, "capture(*, values=False, own_prefix='', skip_frames=0)\n--\n\n"
             "Capture the heap of this process as the sections of `memlens._core.layout`."),
    FUNCTION(fork_capture,
             "fork_capture(file_fd, progress_fd, facts_fd, *, values=False, own_prefix='',"
             " skip_frames=0)\n--\n\n"
             "Fork a child that captures the heap into a file; return its process id at once.\n\n"
             "The caller sends the facts (u32 length, JSON) through the other end of facts_fd, reads\n"
             "progress (six u64: stage, objects, edges, bytes, nanoseconds, errno), and waits."),
    FUNCTION(wait_with_gil,
             "wait_with_gil(descriptor, milliseconds)\n--\n\n"
             "Wait until a descriptor can be read, with the GIL held; return whether it can be."),
    {NULL, NULL, 0, NULL},
};

/* No slot for sub-interpreters: the default refuses those with a GIL of their own. */
static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "memlens._core._capture",
    .m_doc = "Captures of the heap: the same functions as memlens._core.pure.",
    .m_size = sizeof(ModuleState),
    .m_methods = module_functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

#endif

PyMODINIT_FUNC
PyInit__capture(void)
{
    return PyModuleDef_Init(&module_def);
}
