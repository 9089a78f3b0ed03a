/* What a capture needs of Python: it is read before the capture begins. */
#ifndef MEMLENS_CAPTURE_FACTS_H
#define MEMLENS_CAPTURE_FACTS_H

#include "base/compat.h"

#include <sys/types.h>

/* All pointers are borrowed. */
typedef struct {
    pid_t process; /* whose heap it is */
    int numpy_major;
    traverseproc python_traverse; /* of all classes made by a class statement */
    PyObject *modules;
    PyObject *builtins;
    PyObject *sys_dict;
    PyObject *sys_module;
    PyObject *gc_dict;
    PyObject *warnings_dict;
    PyObject *running_threads;  /* of `threading`: dicts of its threads, or NULL */
    PyObject *starting_threads; /* ... which do not run yet */
    PyObject *signal_handlers[65]; /* by number; NULL where there is none in Python */
    struct gc_generation *generations; /* the collector's lists, read only */
    PyThreadState *thread;             /* the calling one */
    PyThreadState *first_thread;       /* of the list of threads, from here on complete */
    PyObject *own_prefix; /* a str with at least one character, or NULL */
    char own_package[16];  /* what is defined in its modules is memlens's own */
    char lent_package[24]; /* except in these: programs keep their data in the structures */
    const char *blocks;  /* the addresses of sampled memory blocks, u64, ascending */
    size_t block_count;
    PyObject *native_types; /* a tuple of types that adapters measure, or NULL */
    PyObject *measure;      /* what asks the adapters */
    int measure_milliseconds; /* how long a forked capture waits for it */
    Py_ssize_t measure_bytes; /* ... and how much it reads of it */
    PyObject *measured;     /* a list of the objects that were measured before the capture, or NULL */
    const char *chunks;     /* ... and what it sent: see native_chunks.c */
    size_t chunk_bytes;
    int values;
    int skip_frames;
} Facts;

/* Create the frame object of each running frame and read all facts. The collector must be off, from
 * here to the end of the walk: what it frees may be what a fact points to. Returns -1 with an
 * exception set on failure. */
int prepare_facts(Facts *facts, PyObject *own_prefix, int values, Py_ssize_t skip_frames,
                  traverseproc python_traverse);

/* Read the facts once more, after Python code has run. */
int refresh_facts(Facts *facts);

/* Look for these memory blocks, u64 addresses, ascending; they must live as long as the capture. */
static inline void
set_blocks(Facts *facts, const char *blocks, Py_ssize_t bytes)
{
    facts->blocks = blocks;
    facts->block_count = (size_t)bytes / sizeof(uint64_t);
}

static inline void
set_adapters(Facts *facts, PyObject *native_types, PyObject *measure)
{
    int is_given = measure != NULL && measure != Py_None && native_types != NULL;
    facts->native_types = is_given ? native_types : NULL;
    facts->measure = is_given ? measure : NULL;
}

/* Whether objects of exactly this type are measured by an adapter. */
static inline int
has_adapter(const Facts *facts, PyTypeObject *type)
{
    Py_ssize_t count = facts->native_types == NULL ? 0 : PyTuple_GET_SIZE(facts->native_types);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyTuple_GET_ITEM(facts->native_types, i) == (PyObject *)type) {
            return 1;
        }
    }
    return 0;
}

/* tp_traverse of all classes that a class statement makes; NULL with an exception set on
 * failure. */
traverseproc find_python_traverse(void);

#endif
