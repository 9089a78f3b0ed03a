/* What a name is bound to in a dict or an instance, without running any code. */
#ifndef MEMLENS_BASE_LOOKUP_H
#define MEMLENS_BASE_LOOKUP_H

#include "base/compat.h"

/* In a dict. Only plain string keys are compared, so no __eq__ runs. NULL: not bound, or no
 * dict. */
PyObject *namespace_get(PyObject *dict, const char *name);

/* In an instance of `type`, in its values or its __dict__. NULL: not bound. */
PyObject *attribute_get(PyObject *object, PyTypeObject *type, const char *name);

#endif
