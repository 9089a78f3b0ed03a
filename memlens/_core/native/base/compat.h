/* Everything that depends on the version of CPython, except frames and generators (frames.h). The parts
 * are in compat/, by what they read.
 *
 * The capture reads structures that CPython calls internal: frames, dict keys, attribute values,
 * the collector's lists. Each supported version is written out here and checked by static asserts.
 * A layout may also change within a minor version, so the import compares the version that runs
 * (see capture/module.c). On another version, or a free-threaded build, it raises ImportError and
 * memlens captures in pure Python. */
#ifndef MEMLENS_BASE_COMPAT_H
#define MEMLENS_BASE_COMPAT_H

#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE 1
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The hash of bytes, with the key of the process; not in a public header before 3.14. */
#if PY_VERSION_HEX < 0x030E0000
PyAPI_FUNC(Py_hash_t) _Py_HashBytes(const void *, Py_ssize_t);
#define compat_hash_bytes _Py_HashBytes
#else
#define compat_hash_bytes Py_HashBuffer
#endif

#define MEMLENS_BUILDS "CPython 3.11 to 3.13, 3.14.5 and later, and 3.15, on 64-bit systems, with the GIL"

/* 3.14.0 to 3.14.4 have another collector, which keeps its lists in another order. The releases
 * before 3.15.0 were not read. */
static inline int
compat_version_is_known(unsigned long version)
{
    return (version >= 0x030B0000 && version < 0x030E0000)
           || (version >= 0x030E0500 && version < 0x030F0000)
           || (version >= 0x030F00F0 && version < 0x03100000);
}

#if ((PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000)                                  \
     || (PY_VERSION_HEX >= 0x030E0500 && PY_VERSION_HEX < 0x030F0000)                               \
     || (PY_VERSION_HEX >= 0x030F00F0 && PY_VERSION_HEX < 0x03100000))                              \
    && !defined(Py_GIL_DISABLED) && SIZEOF_VOID_P == 8 && !defined(_WIN32)
#define MEMLENS_SUPPORTED 1
#else
#define MEMLENS_SUPPORTED 0
#endif

#define MEMLENS_MINOR PY_MINOR_VERSION

/* _Fork(): of the child nothing but the copy of the memory. On Linux, with glibc. */
#if defined(__linux__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
#define MEMLENS_HAS_PLAIN_FORK 1
#endif
#endif
#ifndef MEMLENS_HAS_PLAIN_FORK
#define MEMLENS_HAS_PLAIN_FORK 0
#endif

#if MEMLENS_SUPPORTED

#include <frameobject.h>
#include <structmember.h>

#include "internal/pycore_gc.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_moduleobject.h"
#include "internal/pycore_code.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_object.h"
#include "internal/pycore_runtime.h"
#if MEMLENS_MINOR >= 14
#include "internal/pycore_genobject.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_typeobject.h"
#include "internal/pycore_unicodeobject.h"
#endif

#include <stddef.h>
#include <stdint.h>

/* A reference that a structure holds, and the name of its edge. */
typedef struct {
    const char *name;
    PyObject *object;   /* or NULL */
    int is_borrowed;    /* the reference is not part of the object's reference count */
} CompatNamed;

#include "base/compat/objects.h"
#include "base/compat/threads.h"
#include "base/compat/texts_and_numbers.h"
#include "base/compat/dicts.h"
#include "base/compat/attributes.h"
#include "base/compat/types.h"
#include "base/compat/code.h"

#endif /* MEMLENS_SUPPORTED */
#endif
