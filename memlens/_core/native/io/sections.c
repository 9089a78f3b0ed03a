/* The memory behind one section of a captured heap, as a Python object. */
#include "io/sections.h"

#include "base/layout.h"

typedef struct {
    PyObject_HEAD
    Buffer buffer;
    Py_ssize_t length;
    Py_ssize_t item_bytes;
    char format[2];
} Section;

static int
section_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    Section *section = (Section *)self;
    /* An empty buffer still needs an address; any will do. */
    void *data = section->buffer.data == NULL ? section->format : section->buffer.data;
    if (PyBuffer_FillInfo(view, self, data, section->length * section->item_bytes, 1, flags) < 0) {
        return -1;
    }
    view->itemsize = section->item_bytes;
    if (flags & PyBUF_FORMAT) {
        view->format = section->format;
    }
    if (flags & PyBUF_ND) {
        view->shape = &section->length;
    }
    if ((flags & PyBUF_STRIDES) == PyBUF_STRIDES) {
        view->strides = &section->item_bytes;
    }
    return 0;
}

static void
section_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    buffer_free(&((Section *)self)->buffer);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot section_slots[] = {
    {Py_tp_dealloc, section_dealloc},
    {Py_bf_getbuffer, section_getbuffer},
    {Py_tp_doc, "The memory behind one section of a captured heap."},
    {0, NULL},
};

static PyType_Spec section_spec = {
    .name = "memlens._core._capture.Section",
    .basicsize = sizeof(Section),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = section_slots,
};

PyObject *
make_section_type(PyObject *module)
{
    return PyType_FromModuleAndSpec(module, &section_spec, NULL);
}

PyObject *
section_view(PyTypeObject *section_type, Buffer *buffer, char typecode)
{
    Section *section = PyObject_New(Section, section_type);
    if (section == NULL) {
        buffer_free(buffer);
        return NULL;
    }
    buffer_trim(buffer);
    section->item_bytes = (Py_ssize_t)typecode_bytes(typecode);
    section->length = (Py_ssize_t)(buffer->size / (size_t)section->item_bytes);
    section->format[0] = typecode;
    section->format[1] = '\0';
    section->buffer = *buffer;
    *buffer = (Buffer){NULL, 0, 0};
    PyObject *view = PyMemoryView_FromObject((PyObject *)section);
    Py_DECREF(section);
    return view;
}
