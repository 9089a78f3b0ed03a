/* Whether an object has finished its work: closed files and sockets, ended tasks and threads.
 *
 * Only C functions are called that read a field and return a constant: none may let another thread
 * run. Generators have no test: their reader sets the flag (edges_frames.c). */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/finished.h"
#include "base/lookup.h"
#include "base/structures.h"
#include "base/text.h"
#include "capture/names.h"
#include "capture/types.h"

/* A text file has a buffered one inside, and that a raw one. Longer chains can be built, also rings:
 * the state of a file with more of them inside is not known. pure/finished_objects.py has the same. */
enum { MOST_INNER_FILES = 16 };

static PyGetSetDef *
find_getter(PyTypeObject *type, const char *name)
{
    for (PyGetSetDef *def = type->tp_getset; def != NULL && def->name != NULL; def++) {
        if (strcmp(def->name, name) == 0) {
            return def;
        }
    }
    return NULL;
}

static PyCFunction
find_method(PyTypeObject *type, const char *name)
{
    for (PyMethodDef *def = type->tp_methods; def != NULL && def->ml_name != NULL; def++) {
        if (strcmp(def->ml_name, name) == 0 && def->ml_flags == METH_NOARGS) {
            return def->ml_meth;
        }
    }
    return NULL;
}

static PyMemberDef *
find_member(PyTypeObject *type, const char *name)
{
    for (PyMemberDef *def = type->tp_members; def != NULL && def->name != NULL; def++) {
        if (strcmp(def->name, name) == 0) {
            return def;
        }
    }
    return NULL;
}

static void *
find_how(PyTypeObject *type, const KnownType *row)
{
    void *found;
    switch (row->finish_kind) {
    case BY_GETTER:
        return find_getter(type, row->finish_name);
    case BY_METHOD:
        found = (void *)find_method(type, row->finish_name);
        return found != NULL || type->tp_base == NULL
                   ? found
                   : (void *)find_method(type->tp_base, row->finish_name);
    case BY_INNER:
        return find_member(type, row->finish_name);
    default:
        return NULL;
    }
}

static int
is_thread_class(PyTypeObject *type)
{
    return type->tp_flags & Py_TPFLAGS_HEAPTYPE
           && text_equals(((PyHeapTypeObject *)type)->ht_qualname, "Thread")
           && text_equals(type_module(type), "threading");
}

FinishTest
find_finish_test(const Facts *facts, PyTypeObject *type)
{
    FinishTest test = {type, NULL, NO_TEST};
    for (PyTypeObject *base = type; base != NULL; base = base->tp_base) {
        if (is_thread_class(base)) {
            test.kind = BY_THREAD;
            return test;
        }
        const KnownType *row = known_type(facts, base);
        if (row != NULL && row->finish_kind != NO_TEST) {
            test.how = find_how(base, row);
            test.kind = test.how != NULL || row->finish_kind == BY_DESCRIPTOR ? row->finish_kind
                                                                              : NO_TEST;
            /* The inner file is a member, or in later releases a getter. */
            if (row->finish_kind == BY_INNER && test.how == NULL) {
                test.how = find_getter(base, row->finish_name);
                test.kind = test.how != NULL ? BY_INNER_GETTER : NO_TEST;
            }
            return test;
        }
    }
    return test;
}

/* Whether a C function has returned True. An error counts as False. */
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

/* Whether a dict has the object as a key or as a value. */
static int
has_object(PyObject *dict, PyObject *object)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (key == object || value == object) {
            return 1;
        }
    }
    return 0;
}

/* It has begun and `threading` does not know it any more. Its handle is not asked: since 3.14 that
 * joins the thread, which lets others run in the midst of a capture, and may never return in a child. */
static int
thread_has_ended(const Facts *facts, PyObject *thread, PyTypeObject *type)
{
    PyObject *number = attribute_get(thread, type, "_ident");
    return number != NULL && PyLong_CheckExact(number) && facts->running_threads != NULL
           && facts->starting_threads != NULL && !has_object(facts->running_threads, thread)
           && !has_object(facts->starting_threads, thread);
}

/* The file inside a file, or NULL. A file that was detached has none: its getter fails. */
static PyObject *
inner_file(PyObject *object, const FinishTest *test)
{
    if (test->kind == BY_INNER) {
        return *(PyObject **)((char *)object + ((PyMemberDef *)test->how)->offset);
    }
    PyGetSetDef *def = test->how;
    PyObject *inner = def->get(object, def->closure);
    if (inner == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(inner); /* the object holds it too */
    return inner;
}

int
has_finished(const Facts *facts, PyObject *object, const FinishTest *test)
{
    FinishTest inner;
    for (int depth = 0; test->kind == BY_INNER || test->kind == BY_INNER_GETTER; depth++) {
        object = depth < MOST_INNER_FILES ? inner_file(object, test) : NULL;
        if (object == NULL) {
            return 0;
        }
        inner = find_finish_test(facts, Py_TYPE(object));
        test = &inner;
    }
    switch (test->kind) {
    case BY_GETTER: {
        PyGetSetDef *def = test->how;
        return take_truth(def->get(object, def->closure));
    }
    case BY_METHOD:
        return take_truth(((PyCFunction)test->how)(object, NULL));
    case BY_DESCRIPTOR: /* -1 once closed */
        return *(int *)((char *)object + sizeof(PyObject)) < 0;
    case BY_THREAD:
        return thread_has_ended(facts, object, test->type);
    default:
        return 0;
    }
}

#endif
