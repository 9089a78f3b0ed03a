/* Tells what has finished its work: closed files and sockets, ended tasks and threads.
 *
 * By the C functions of the C types, which read a field and return a constant. (Generators: see
 * edges_code.c.) */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/capture.h"

enum { NO_TEST, BY_GETTER, BY_METHOD, BY_INNER, BY_DESCRIPTOR, BY_THREAD };

typedef struct {
    const char *type;
    int kind;
    const char *name; /* of the getter, method or member */
} Test;

static const Test tests[] = {
    {"_io.FileIO", BY_GETTER, "closed"},
    {"_io.BytesIO", BY_GETTER, "closed"},
    {"_io.StringIO", BY_GETTER, "closed"},
    {"_io.TextIOWrapper", BY_INNER, "buffer"},
    {"_io.BufferedReader", BY_INNER, "raw"},
    {"_io.BufferedWriter", BY_INNER, "raw"},
    {"_io.BufferedRandom", BY_INNER, "raw"},
    {"_socket.socket", BY_DESCRIPTOR, ""},
    {"_asyncio.Future", BY_METHOD, "done"},
    {"_asyncio.Task", BY_METHOD, "done"},
};

static void *
find_function(PyTypeObject *type, const Test *test)
{
    if (test->kind == BY_GETTER) {
        for (PyGetSetDef *def = type->tp_getset; def != NULL && def->name != NULL; def++) {
            if (strcmp(def->name, test->name) == 0) {
                return def;
            }
        }
    }
    if (test->kind == BY_METHOD) {
        for (PyMethodDef *def = type->tp_methods; def != NULL && def->ml_name != NULL; def++) {
            if (strcmp(def->ml_name, test->name) == 0 && def->ml_flags == METH_NOARGS) {
                return (void *)def->ml_meth;
            }
        }
    }
    if (test->kind == BY_INNER) {
        for (PyMemberDef *def = type->tp_members; def != NULL && def->name != NULL; def++) {
            if (strcmp(def->name, test->name) == 0) {
                return def;
            }
        }
    }
    return NULL;
}

static int
is_thread_class(PyTypeObject *type)
{
    return type->tp_flags & Py_TPFLAGS_HEAPTYPE
           && text_equals(((PyHeapTypeObject *)type)->ht_qualname, "Thread")
           && text_equals(type_module(type), "threading");
}

static const char *
c_type_name(PyTypeObject *type)
{
    return type->tp_name; /* of heap types made in C too: "_io.FileIO" */
}

void
find_finish_test(Capture *capture, Plan *plan)
{
    (void)capture;
    for (PyTypeObject *type = plan->type; type != NULL; type = type->tp_base) {
        if (is_thread_class(type)) {
            plan->finish_kind = BY_THREAD;
            return;
        }
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
            const Test *test = &tests[i];
            if (strcmp(c_type_name(type), test->type) != 0) {
                continue;
            }
            plan->finish_how = find_function(type, test);
            if (plan->finish_how == NULL && test->kind == BY_METHOD && type->tp_base != NULL) {
                plan->finish_how = find_function(type->tp_base, test);
            }
            if (plan->finish_how != NULL || test->kind == BY_DESCRIPTOR) {
                plan->finish_kind = (uint8_t)test->kind;
            }
            return;
        }
    }
}

/* Whether a C function has returned True. Any error is none of ours. */
static int
take_truth(PyObject *answer)
{
    int is_true = answer == Py_True;
    if (answer == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(answer);
    return is_true;
}

static PyObject *
attribute_of(Capture *capture, PyObject *object, const Plan *plan, const char *name)
{
    CompatAttributes found = compat_attributes(object, plan->type);
    (void)capture;
    if (found.values != NULL) {
        CompatEntries entries = compat_entries(((PyHeapTypeObject *)plan->type)->ht_cached_keys);
        for (Py_ssize_t i = 0; i < entries.count && i < found.capacity; i++) {
            PyObject *key = compat_entry_key(&entries, i);
            if (found.values[i] != NULL && text_equals(key, name)) {
                return found.values[i];
            }
        }
        return NULL;
    }
    return namespace_get(found.dict, name);
}

typedef struct { /* Modules/_threadmodule.c, up to 3.12 */
    PyObject_HEAD
    void *lock;
    PyObject *weak_references;
    char locked;
} Lock;

static int
thread_has_ended(Capture *capture, PyObject *object, const Plan *plan)
{
#if MEMLENS_MINOR >= 13
    PyObject *handle = attribute_of(capture, object, plan, "_handle");
    static const Test is_done = {"", BY_METHOD, "is_done"};
    if (handle == NULL || strcmp(Py_TYPE(handle)->tp_name, "_thread._ThreadHandle") != 0) {
        return 0;
    }
    PyCFunction test = (PyCFunction)find_function(Py_TYPE(handle), &is_done);
    return test != NULL && take_truth(test(handle, NULL));
#else
    PyObject *lock = attribute_of(capture, object, plan, "_tstate_lock");
    if (attribute_of(capture, object, plan, "_is_stopped") == Py_True) {
        return 1;
    }
    return lock != NULL && strcmp(Py_TYPE(lock)->tp_name, "_thread.lock") == 0
           && !((Lock *)lock)->locked;
#endif
}

static int
inner_has_finished(Capture *capture, PyObject *object, const Plan *plan)
{
    PyObject *inner = *(PyObject **)((char *)object + ((PyMemberDef *)plan->finish_how)->offset);
    if (inner == NULL) {
        return 0;
    }
    Plan found;
    memset(&found, 0, sizeof found);
    found.type = Py_TYPE(inner);
    find_finish_test(capture, &found);
    return found.finish_kind != NO_TEST && has_finished(capture, inner, &found);
}

int
has_finished(Capture *capture, PyObject *object, const Plan *plan)
{
    switch (plan->finish_kind) {
    case BY_GETTER: {
        PyGetSetDef *def = plan->finish_how;
        return take_truth(def->get(object, def->closure));
    }
    case BY_METHOD:
        return take_truth(((PyCFunction)plan->finish_how)(object, NULL));
    case BY_INNER:
        return inner_has_finished(capture, object, plan);
    case BY_DESCRIPTOR: /* a socket: -1 once closed, the first field */
        return *(int *)((char *)object + sizeof(PyObject)) < 0;
    case BY_THREAD:
        return thread_has_ended(capture, object, plan);
    default:
        return 0;
    }
}

#endif
