/* The names of types, and which types, modules and code belong to memlens itself. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/names.h"
#include "base/lookup.h"
#include "base/text.h"

PyObject *
type_module(PyTypeObject *type)
{
    PyObject *dict = compat_type_dict(type);
    return dict == NULL ? NULL : namespace_get(dict, "__module__");
}

uint32_t
type_name(Capture *capture, PyTypeObject *type)
{
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return strings_add_text(&capture->strings, type->tp_name);
    }
    Buffer *bytes = &capture->text;
    PyObject *module = type_module(type);
    bytes->size = 0;
    if (module != NULL && !text_equals(module, "builtins")) {
        capture->failed |= append_utf8(bytes, module) < 0;
        if (bytes->size != 0) {
            capture->failed |= push_u8(bytes, '.') < 0;
        }
    }
    capture->failed |= append_utf8(bytes, ((PyHeapTypeObject *)type)->ht_qualname) < 0;
    uint32_t number = strings_add(&capture->strings, bytes->data, bytes->size);
    bytes->size = 0;
    return number;
}

/* Whether a module is a package, or in it. */
static int
is_in_package(PyObject *name, const char *package)
{
    if (!text_starts_with(name, package)) {
        return 0;
    }
    Py_ssize_t length = (Py_ssize_t)strlen(package);
    return PyUnicode_GET_LENGTH(name) == length || PyUnicode_READ_CHAR(name, length) == '.';
}

int
module_is_own(const Capture *capture, PyObject *name)
{
    return is_in_package(name, capture->facts.own_package)
           && !is_in_package(name, capture->facts.lent_package);
}

int
type_is_own(const Capture *capture, PyTypeObject *type)
{
    const char *package = capture->facts.own_package; /* the types of the structures are heap types */
    size_t length = strlen(package);
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return strncmp(type->tp_name, package, length) == 0 && type->tp_name[length] == '.';
    }
    return module_is_own(capture, type_module(type));
}

int
code_is_own(const Capture *capture, PyCodeObject *code)
{
    PyObject *prefix = capture->facts.own_prefix;
    return prefix != NULL && text_begins_with(code->co_filename, prefix);
}

#endif
