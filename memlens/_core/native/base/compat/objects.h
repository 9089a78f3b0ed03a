/* What depends on the version of CPython: what lies before an object, the state of modules, and the collector's lists. Included by compat.h. */
#ifndef MEMLENS_BASE_COMPAT_OBJECTS_H
#define MEMLENS_BASE_COMPAT_OBJECTS_H

/* ---- the object header, the collector's header, the words before an object ------------------- */

_Static_assert(sizeof(PyObject) == 16, "an object's header is a count and a type");
_Static_assert(sizeof(PyGC_Head) == 16, "the collector's header is two words");
_Static_assert(sizeof(PyVarObject) == 24, "a sized object's header has a length");

#if MEMLENS_MINOR >= 12
#define compat_is_immortal(object) (_Py_IsImmortal(object))
#else
/* Objects of frozen modules are static and have a reference count that never reaches zero. */
#define compat_is_immortal(object) (Py_REFCNT(object) >= 999999999 / 2)
#endif

static inline int
compat_has_gc_header(PyObject *object, PyTypeObject *type)
{
    /* tp_is_gc tells heap types from static ones; it is always a C function of a built-in type. */
    return (type->tp_flags & Py_TPFLAGS_HAVE_GC)
           && (type->tp_is_gc == NULL || type->tp_is_gc(object));
}

static inline PyGC_Head *
compat_gc_header(PyObject *object)
{
    return (PyGC_Head *)object - 1;
}

static inline int
compat_is_tracked(PyObject *object)
{
    return compat_gc_header(object)->_gc_next != 0;
}

/* Bytes before the object: the collector's header, and words for attributes and weak references. */
static inline size_t
compat_header_bytes(PyObject *object, PyTypeObject *type)
{
    size_t size = compat_has_gc_header(object, type) ? sizeof(PyGC_Head) : 0;
#if MEMLENS_MINOR == 11
    if (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) {
        size += 2 * sizeof(PyObject *);
    }
#elif MEMLENS_MINOR >= 12
    if (type->tp_flags & (Py_TPFLAGS_MANAGED_DICT | Py_TPFLAGS_MANAGED_WEAKREF)) {
        size += 2 * sizeof(PyObject *);
    }
#endif
    return size;
}

/* ---- modules --------------------------------------------------------------------------------- */

/* The state of a module in C: its size, and what shows the references in it. */
typedef struct {
    Py_ssize_t size;
    traverseproc traverse;
} CompatModuleState;

static inline CompatModuleState
compat_module_state(PyModuleObject *module)
{
#if MEMLENS_MINOR >= 15
    return (CompatModuleState){module->md_state_size, module->md_state_traverse};
#else
    struct PyModuleDef *def = module->md_def;
    return def == NULL ? (CompatModuleState){0, NULL}
                       : (CompatModuleState){def->m_size, def->m_traverse};
#endif
}

/* ---- the collector's lists ------------------------------------------------------------------- */

/* The generations and behind them the frozen objects (struct _gc_runtime_state). Up to 3.13 a pointer
 * lies between them. */
enum { COMPAT_FROZEN_GAP_BYTES = MEMLENS_MINOR >= 14 ? 0 : sizeof(void *) };
_Static_assert(sizeof(struct gc_generation) == 24, "a generation is a list head and two counters");
_Static_assert(NUM_GENERATIONS == 3, "three generations");
_Static_assert(offsetof(struct _gc_runtime_state, permanent_generation)
                       - offsetof(struct _gc_runtime_state, generations)
                   == 3 * sizeof(struct gc_generation) + COMPAT_FROZEN_GAP_BYTES,
               "the frozen generation follows the others");

#endif
