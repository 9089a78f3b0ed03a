/* The types that the capture knows one by one.
 *
 * To add a type, add a row here, and if it needs one a reader to an edges_*.c. Most types need
 * no row: their objects are read by tp_traverse and tp_members. Types that the C API does not
 * name are found by their tp_name. Looking them up in a module would not be safe: the program
 * may have changed it. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/types.h"
#include "base/streams.h"
#include "base/structures.h"
#include "capture/edges_classes.h"
#include "capture/edges_dicts.h"
#include "capture/edges_frames.h"
#include "capture/edges_functions.h"
#include "capture/edges_numpy.h"
#include "capture/edges_sequences.h"
#include "capture/edges_stdlib.h"
#include "capture/edges_values.h"
#include "capture/native_memory.h"
#include "capture/native_streams.h"

/* The fields of futures and tasks lie elsewhere in each version, so their getters are asked. */
static const char *const future_getters[] = {"_loop",       "_result",           "_exception",
                                             "_coro",       "_fut_waiter",       "_source_traceback",
                                             "_cancel_message", NULL};

static const KnownType known[] = {
    /* Plain values. */
    {.type = &PyUnicode_Type, .content = str_content, .is_compared = 1},
    {.type = &PyBytes_Type, .content = refers_to_nothing, .is_compared = 1},
    {.type = &PyLong_Type, .content = int_content, .counts_items = 1},
    {.type = &PyBool_Type, .content = int_content, .counts_items = 1},
    {.type = &PyByteArray_Type, .content = bytearray_content},
    {.type = &PyFloat_Type, .content = refers_to_nothing},
    {.type = &PyComplex_Type, .content = refers_to_nothing},
    {.type = &PyBaseObject_Type, .content = refers_to_nothing},
    {.type = &_PyNone_Type, .content = refers_to_nothing},
    {.type = &_PyNotImplemented_Type, .content = refers_to_nothing},
    {.type = &PyEllipsis_Type, .content = refers_to_nothing},

    /* Containers. */
    {.type = &PyList_Type, .content = list_content},
    {.type = &PyTuple_Type, .content = tuple_content},
    {.type = &PySet_Type, .content = set_content},
    {.type = &PyFrozenSet_Type, .content = set_content},
    {.type = &PyDict_Type, .content = dict_content},
    {.type = COMPAT_FROZENDICT_TYPE, .content = dict_content},
    {.type = &PyODict_Type, .rest = ordered_dict_rest},
    {.name = "collections.deque", .least_bytes = sizeof(Deque), .content = deque_content},
    {.name = "functools._lru_cache_wrapper",
     .least_bytes = sizeof(LruCache),
     .content = lru_cache_content,
     .reads_attributes = 1},
    {.name = "functools._lru_list_elem",
     .least_bytes = sizeof(LruLink),
     .content = refers_to_nothing,
     .shown_by_owner = 1},
    {.name = "array.array", .least_bytes = sizeof(PlainArray), .content = plain_array_content},
    {.name = "numpy.ndarray", .least_bytes = sizeof(Array), .content = ndarray_content, .memory = array_view_memory},
    {.type = &PyDictProxy_Type, .fields = {{"mapping", sizeof(PyObject)}}},

    /* Code. */
    {.type = &PyFunction_Type, .content = function_content, .reads_attributes = 1},
    {.type = &PyCode_Type, .content = code_object_content, .counts_items = 1},
    {.type = &PyCell_Type, .content = cell_content},
    {.type = &PyMethod_Type, .content = method_content},
    {.type = &PyCFunction_Type, .fields = {{"__self__", offsetof(PyCFunctionObject, m_self)}}},
    {.type = &PyFrame_Type, .content = frame_content, .counts_items = 1},
    {.type = &PyTraceBack_Type, .fields = {{"tb_next", offsetof(PyTracebackObject, tb_next)}}},
    {.variable = &PyExc_BaseException,
     .fields = {{"args", offsetof(PyBaseExceptionObject, args)},
                {"__traceback__", offsetof(PyBaseExceptionObject, traceback)},
                {"__context__", offsetof(PyBaseExceptionObject, context)},
                {"__cause__", offsetof(PyBaseExceptionObject, cause)}}},
    {.type = &PyGen_Type, .content = generator_content, .counts_items = 1},
    {.type = &PyCoro_Type, .content = generator_content, .counts_items = 1},
    {.type = &PyAsyncGen_Type, .content = generator_content, .counts_items = 1},
    {.type = &PyType_Type, .content = type_content, .counts_items = 1, .reads_attributes = 1},
    {.type = &PyModule_Type, .content = module_content, .reads_attributes = 1},
    {.type = &_PyWeakref_RefType, .content = weakref_content},
    {.type = &_PyWeakref_ProxyType, .content = weakref_content},
    {.type = &_PyWeakref_CallableProxyType, .content = weakref_content},
    {.name = "_asyncio.Future",
     .getters = future_getters,
     .finish_kind = BY_METHOD,
     .finish_name = "done"},
    {.name = "_asyncio.Task",
     .getters = future_getters,
     .namer = add_task_name,
     .finish_kind = BY_METHOD,
     .finish_name = "done"},

    /* Times. */
    {.name = "datetime.datetime",
     .least_bytes = sizeof(PyDateTime_DateTime),
     .content = datetime_content},
    {.name = "datetime.time", .least_bytes = sizeof(PyDateTime_Time), .content = datetime_content},

    /* Native memory. */
    {.name = "_ctypes.Array", .least_bytes = sizeof(ForeignData), .memory = foreign_data_memory},
    {.name = "_ctypes.Structure", .least_bytes = sizeof(ForeignData), .memory = foreign_data_memory},
    {.name = "_ctypes.Union", .least_bytes = sizeof(ForeignData), .memory = foreign_data_memory},
    {.name = "zlib.Compress", .least_bytes = sizeof(ZlibObject), .memory = deflate_memory},
    {.name = "zlib.Decompress", .least_bytes = sizeof(ZlibObject), .memory = inflate_memory},
    {.name = "zlib._ZlibDecompressor",
     .least_bytes = sizeof(ZlibReader),
     .memory = zlib_reader_memory},
    {.name = "_bz2.BZ2Compressor", .least_bytes = sizeof(BzipObject), .memory = bzip_memory},
    {.name = "_bz2.BZ2Decompressor",
     .least_bytes = sizeof(BzipReader),
     .memory = bzip_reader_memory},
    {.name = "mmap.mmap", .least_bytes = sizeof(Mapping), .memory = mapping_memory},
    {.name = "managedbuffer",
     .least_bytes = sizeof(_PyManagedBufferObject),
     .memory = exported_memory},

    /* Files and sockets. */
#if COMPAT_BYTESIO_HIDES_BUFFER
    {.name = "_io.BytesIO",
     .least_bytes = sizeof(BytesBuffer),
     .content = bytes_buffer_content,
     .finish_kind = BY_GETTER,
     .finish_name = "closed"},
    {.name = "_io.StringIO",
     .least_bytes = sizeof(TextBuffer),
     .content = text_buffer_content,
     .memory = text_buffer_memory,
     .finish_kind = BY_GETTER,
     .finish_name = "closed"},
#else
    {.name = "_io.BytesIO", .finish_kind = BY_GETTER, .finish_name = "closed"},
    {.name = "_io.StringIO",
     .least_bytes = sizeof(TextBufferHead),
     .memory = text_buffer_memory,
     .finish_kind = BY_GETTER,
     .finish_name = "closed"},
#endif
    {.name = "_io.FileIO", .finish_kind = BY_GETTER, .finish_name = "closed"},
    {.name = "_io.TextIOWrapper", .finish_kind = BY_INNER, .finish_name = "buffer"},
    {.name = "_io.BufferedReader",
     .least_bytes = sizeof(BufferedFile),
     .memory = file_buffer_memory,
     .finish_kind = BY_INNER,
     .finish_name = "raw"},
    {.name = "_io.BufferedWriter",
     .least_bytes = sizeof(BufferedFile),
     .memory = file_buffer_memory,
     .finish_kind = BY_INNER,
     .finish_name = "raw"},
    {.name = "_io.BufferedRandom",
     .least_bytes = sizeof(BufferedFile),
     .memory = file_buffer_memory,
     .finish_kind = BY_INNER,
     .finish_name = "raw"},
    {.name = "_socket.socket", .finish_kind = BY_DESCRIPTOR},
};

static int
is_named(const Facts *facts, const KnownType *row, PyTypeObject *type)
{
    return row->name != NULL && strcmp(type->tp_name, row->name) == 0
           && (size_t)type->tp_basicsize >= row->least_bytes
           /* The class of a class statement is never one of these, whatever its name. */
           && type->tp_traverse != facts->python_traverse
           && (row->content != ndarray_content || facts->numpy_major != 0);
}

const KnownType *
known_type(const Facts *facts, PyTypeObject *type)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const KnownType *row = &known[i];
        if (row->type == type || (row->variable != NULL && *row->variable == (PyObject *)type)
            || is_named(facts, row, type)) {
            return row;
        }
    }
    return NULL;
}

Memory
known_memory(const Facts *facts, PyTypeObject *type)
{
    for (; type != NULL; type = type->tp_base) {
        const KnownType *row = known_type(facts, type);
        if (row != NULL && row->memory != NULL) {
            return row->memory;
        }
    }
    return NULL;
}

Content
known_content(const Facts *facts, PyTypeObject *type)
{
    const KnownType *row = known_type(facts, type);
    return row == NULL ? NULL : row->content;
}

#endif
