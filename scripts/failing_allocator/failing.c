/* Allocations that fail on purpose: see __main__.py.
 *
 * Compiled twice. With FAILING_MODULE it is the extension module `_failing`, which counts and decides.
 * Without, it is linked into each extension of the core with `-Wl,--wrap=malloc` and the like: every
 * call of an allocator in our files then asks first. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#ifdef FAILING_MODULE

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <sys/mman.h>

/* Shared with forked children, so that their allocations are counted too. */
typedef struct {
    long seen, first, last;
} Shared;

static Shared *shared;
static long live_bytes; /* that our files hold in this process */
static __thread int is_armed, counts_python;
static int all_threads; /* whether the allocations of each thread count */

int failing_decide(void);
void failing_note(long bytes);

/* Whether this allocation of our files fails. */
__attribute__((visibility("default"))) int
failing_decide(void)
{
    if (!is_armed && !all_threads) {
        return 0;
    }
    long number = __atomic_add_fetch(&shared->seen, 1, __ATOMIC_RELAXED);
    return number >= shared->first && number <= shared->last;
}

__attribute__((visibility("default"))) void
failing_note(long bytes)
{
    __atomic_add_fetch(&live_bytes, bytes, __ATOMIC_RELAXED);
}

static PyMemAllocatorEx inner[2];

static int
python_fails(void)
{
    return (counts_python || all_threads) && failing_decide();
}

static void *
hooked_malloc(void *context, size_t bytes)
{
    PyMemAllocatorEx *allocator = context;
    return python_fails() ? NULL : allocator->malloc(allocator->ctx, bytes);
}

static void *
hooked_calloc(void *context, size_t count, size_t bytes)
{
    PyMemAllocatorEx *allocator = context;
    return python_fails() ? NULL : allocator->calloc(allocator->ctx, count, bytes);
}

/* Making a block smaller must not fail: CPython relies on it. */
static void *
hooked_realloc(void *context, void *block, size_t bytes)
{
    PyMemAllocatorEx *allocator = context;
    return block == NULL && python_fails() ? NULL : allocator->realloc(allocator->ctx, block, bytes);
}

static void
hooked_free(void *context, void *block)
{
    PyMemAllocatorEx *allocator = context;
    allocator->free(allocator->ctx, block);
}

/* call(function, first, last, which) -> (result or None, exception or None, allocations).
 *
 * which: 0 our files, 1 also Python's own allocations, 2 those of all threads. */
static PyObject *
failing_call(PyObject *module, PyObject *args)
{
    PyObject *function, *type = NULL, *error = NULL, *traceback = NULL;
    int which;
    if (!PyArg_ParseTuple(args, "Olli", &function, &shared->first, &shared->last, &which)) {
        return NULL;
    }
    shared->seen = 0;
    counts_python = which > 0;
    is_armed = 1;
    all_threads = which > 1;
    PyObject *result = PyObject_CallNoArgs(function);
    is_armed = counts_python = all_threads = 0;
    if (result == NULL) {
        PyErr_Fetch(&type, &error, &traceback);
        PyErr_NormalizeException(&type, &error, &traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return Py_BuildValue("NNl", result != NULL ? result : Py_NewRef(Py_None),
                         error != NULL ? error : Py_NewRef(Py_None), shared->seen);
}

/* live_bytes() -> what our files have allocated and not freed. */
static PyObject *
failing_live_bytes(PyObject *module, PyObject *ignored)
{
    return PyLong_FromLong(live_bytes);
}

static PyMethodDef methods[] = {
    {"call", failing_call, METH_VARARGS, NULL},
    {"live_bytes", failing_live_bytes, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_failing", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC
PyInit__failing(void)
{
    static const PyMemAllocatorDomain domains[2] = {PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return PyErr_NoMemory();
    }
    for (int i = 0; i < 2; i++) {
        PyMemAllocatorEx hook
            = {&inner[i], hooked_malloc, hooked_calloc, hooked_realloc, hooked_free};
        PyMem_GetAllocator(domains[i], &inner[i]);
        PyMem_SetAllocator(domains[i], &hook);
    }
    return PyModule_Create(&definition);
}

#else

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>

int failing_decide(void);
void failing_note(long bytes);

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
void __real_free(void *);
void *__real_PyMem_RawMalloc(size_t);
void __real_PyMem_RawFree(void *);
void *__real_mmap(void *, size_t, int, int, int, off_t);
void *__real_mremap(void *, size_t, size_t, int);
int __real_munmap(void *, size_t);
FILE *__real_open_memstream(char **, size_t *);

void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
void __wrap_free(void *);
void *__wrap_PyMem_RawMalloc(size_t);
void __wrap_PyMem_RawFree(void *);
void *__wrap_mmap(void *, size_t, int, int, int, off_t);
void *__wrap_mmap64(void *, size_t, int, int, int, off_t);
void *__wrap_mremap(void *, size_t, size_t, int);
int __wrap_munmap(void *, size_t);
FILE *__wrap_open_memstream(char **, size_t *);

static void *
noted(void *block)
{
    failing_note(block == NULL ? 0 : (long)malloc_usable_size(block));
    return block;
}

void *
__wrap_malloc(size_t bytes)
{
    return failing_decide() ? NULL : noted(__real_malloc(bytes));
}

void *
__wrap_calloc(size_t count, size_t bytes)
{
    return failing_decide() ? NULL : noted(__real_calloc(count, bytes));
}

void *
__wrap_realloc(void *block, size_t bytes)
{
    if (failing_decide()) {
        return NULL;
    }
    failing_note(block == NULL ? 0 : -(long)malloc_usable_size(block));
    return noted(__real_realloc(block, bytes));
}

void
__wrap_free(void *block)
{
    failing_note(block == NULL ? 0 : -(long)malloc_usable_size(block));
    __real_free(block);
}

void *
__wrap_PyMem_RawMalloc(size_t bytes)
{
    void *block = failing_decide() ? NULL : __real_PyMem_RawMalloc(bytes);
    failing_note(block == NULL ? 0 : 1);
    return block;
}

void
__wrap_PyMem_RawFree(void *block)
{
    failing_note(block == NULL ? 0 : -1);
    __real_PyMem_RawFree(block);
}

void *
__wrap_mmap(void *hint, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    void *start = MAP_FAILED;
    if (failing_decide()) {
        errno = ENOMEM;
        return start;
    }
    start = __real_mmap(hint, bytes, protection, flags, fd, offset);
    failing_note(start == MAP_FAILED ? 0 : (long)bytes);
    return start;
}

/* What files that include Python.h call. */
void *
__wrap_mmap64(void *hint, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return __wrap_mmap(hint, bytes, protection, flags, fd, offset);
}

void *
__wrap_mremap(void *start, size_t old_bytes, size_t bytes, int flags)
{
    void *moved = MAP_FAILED;
    if (failing_decide()) {
        errno = ENOMEM;
        return moved;
    }
    moved = __real_mremap(start, old_bytes, bytes, flags);
    failing_note(moved == MAP_FAILED ? 0 : (long)bytes - (long)old_bytes);
    return moved;
}

int
__wrap_munmap(void *start, size_t bytes)
{
    failing_note(-(long)bytes);
    return __real_munmap(start, bytes);
}

FILE *
__wrap_open_memstream(char **text, size_t *length)
{
    return failing_decide() ? NULL : __real_open_memstream(text, length);
}

#endif
