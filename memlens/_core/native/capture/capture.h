/* A capture in progress: what walk.c, the edges_*.c, roots.c and finish.c share.
 *
 * Two numberings. An object gets an *index* when a reference to it is first seen, and a *node* when
 * the depth-first walk comes to it; edges hold indices until finish.c turns them into nodes. From
 * beginning to end nothing is written to an object, no reference count changes, no Python memory is
 * allocated (but for the texts that `values` asks for) and no code of the program runs.
 */
#ifndef MEMLENS_CAPTURE_H
#define MEMLENS_CAPTURE_H

#include "base/compat.h"

#include "base/buffer.h"
#include "base/layout.h"
#include "base/strings.h"
#include "base/table.h"
#include "base/text.h"

#define MANY_REFERENCES UINT32_MAX /* a count that is not known exactly */

typedef struct Capture Capture;
typedef struct Plan Plan;

/* Adds the references that the C part of an object holds, and the bytes that it owns. */
typedef void (*Content)(Capture *capture, PyObject *object, const Plan *plan);

typedef struct {
    Py_ssize_t offset;   /* of the pointer in the object */
    PyGetSetDef *getter; /* or a C function that only returns what a field holds */
    uint32_t label;
} Field;

/* How to read the objects of one type; row in the type table. */
struct Plan {
    PyTypeObject *type;
    Content content;         /* NULL: refers to nothing */
    Content known_content;   /* of `known` */
    PyTypeObject *base;      /* the C type whose structure its objects begin with */
    PyTypeObject *known;     /* ... and the nearest base whose `content` is known, or NULL */
    uint32_t type_index;     /* of the type object */
    uint32_t name;           /* string: module.qualname */
    uint32_t first_field;    /* of the C type, in `fields` */
    uint32_t field_count;
    uint32_t first_slot;     /* of __slots__, in `fields` */
    uint32_t slot_count;
    uint32_t first_key;      /* labels of inline or split values, in `key_labels` */
    uint32_t key_count;
    uint32_t fixed_bytes;    /* header and structure */
    uint32_t item_bytes;     /* for each of Py_SIZE; 0 where that means something else */
    uint8_t holds_type;      /* made at run time: its objects hold it */
    uint8_t has_attributes;  /* in a dict or in values */
    uint8_t content_shows_attributes; /* tp_traverse of the C type visits them too */
    uint8_t is_own;          /* of memlens */
    uint8_t is_compared;     /* exactly str or bytes: see equal.c */
    uint8_t finish_kind;     /* how to tell whether its objects have finished: see finished.c */
    void *finish_how;
};

/* What needs Python and is read before the capture, all pointers borrowed: see prepare.c. */
typedef struct {
    int numpy_major;
    traverseproc python_traverse; /* of all classes made by a class statement */
    PyObject *modules;
    PyObject *builtins;
    PyObject *sys_dict;
    PyObject *sys_module;
    PyObject *gc_dict;
    PyObject *warnings_dict;
    PyObject *signal_handlers[65]; /* by number; NULL where there is none in Python */
    struct gc_generation *generations; /* the collector's lists, read only */
    PyThreadState *thread;             /* the calling one */
    char own_prefix[4096];
    char own_package[16]; /* what is defined in its modules is memlens's own */
    int values;
    int skip_frames;
} Facts;

typedef struct {
    uint32_t index; /* of the root's object */
    uint32_t name;  /* string */
    uint32_t frame; /* row of the frame table, or NODE_NONE */
    uint8_t kind;
    uint8_t counted; /* the reference behind it is part of the object's reference count */
} Root;

typedef struct {
    uint64_t thread;
    uint32_t function, file, line, depth;
} FrameRow;

typedef struct {
    uint32_t node;
    uint32_t text, file, line;
} NameRow;

typedef struct {
    uint32_t node;
    uint32_t length; /* the greatest 32-bit number stands for all beyond: see long_lengths */
} LengthRow;

typedef struct {
    uint32_t node;
    uint64_t value;
} SparseRow;

struct Capture {
    Facts facts;
    AddressTable table; /* address -> index */
    StringTable strings;

    /* By index. */
    Buffer address;  /* u64 */
    Buffer node_of;  /* u32; NODE_NONE until the walk has come there */
    Buffer marks;    /* a bit: the __dict__ of something; see is_namespace */

    /* By node; node 0 is the process. */
    Buffer node_index;      /* u32; made when the table is gone */
    Buffer node_type;       /* u32 */
    Buffer node_size;       /* u64 */
    Buffer node_flags;      /* u16 */
    Buffer node_references; /* u32: the reference count; then what nothing explains of it */
    Buffer edge_offset;     /* u64 */

    /* By edge. */
    Buffer edge_target; /* u32 */
    Buffer edge_label;  /* u32 */

    Buffer plans;      /* Plan, by type */
    Buffer plan_table; /* open addressing: type -> row */
    uint64_t plan_mask;
    Buffer fields;     /* Field */
    Buffer key_labels; /* u32 */
    Buffer names_rows; /* NameRow */
    Buffer lengths;    /* LengthRow */
    Buffer long_lengths, bounds; /* SparseRow */
    Buffer owner_bounds; /* u64, by row of lengths; 0 where the owner states no cap */
    Buffer values;     /* u32 pairs: node, string */
    Buffer text_hashes; /* u32: of the contents of each str and bytes, in the order of nodes */
    Buffer equal_node, equal_group; /* u32 */
    Buffer frames;     /* FrameRow */
    Buffer roots;      /* Root */
    Buffer hidden;     /* u32 index: references of frames that are left out */
    Buffer hidden_frames; /* PyObject *: their frame objects */
    Buffer module_files;  /* u32: file (string) of the module with this name (string) */
    Buffer mentions;   /* u32: index of the tuple with the names that a code object uses */
    Buffer closures;   /* u64 pairs: index of the tuple, the code that names its cells */
    Buffer relabel;    /* u32 index: dicts that turned out to be namespaces after their edges */
    Buffer stack;      /* u64 pairs: edges still to follow */
    Buffer scratch;    /* PyObject *: what a traversal shows */
    Buffer text;       /* a string that is being put together */

    PyTypeObject *last_type;
    uint32_t last_row;

    /* Of the object being read. */
    uint64_t size;
    uint32_t node;
    uint32_t index;
    uint16_t flags;
    uint32_t state_count; /* of a module */

    uint32_t node_count, index_count;
    uint32_t named_end; /* nodes below it are reached from named roots */

    /* Labels that every capture uses. */
    uint32_t label_class, label_dict, label_string_key, label_contents, label_callback;

    struct { /* strings of the literals below, by their address */
        const char *text;
        uint32_t number;
    } literals[256];

    void (*on_progress)(Capture *); /* called now and then, if not NULL */
    void *listener;

    int failed; /* no memory, or more objects than 32 bits can number */
};



static inline int
is_namespace(const Capture *capture, uint32_t index)
{
    return ITEMS(capture->marks, uint8_t)[index >> 3] >> (index & 7) & 1;
}

static inline void
mark_namespace(Capture *capture, uint32_t index)
{
    ITEMS(capture->marks, uint8_t)[index >> 3] |= (uint8_t)(1 << (index & 7));
}

/* walk.c */
int capture_init(Capture *capture, const Facts *facts);
void capture_free(Capture *capture);
uint32_t capture_index(Capture *capture, PyObject *object);
void capture_walk(Capture *capture, uint32_t index);
int capture_run(Capture *capture); /* everything from the roots to the sections; -1: no memory */

/* plans.c */
uint32_t plan_row(Capture *capture, PyTypeObject *type);
uint32_t type_name(Capture *capture, PyTypeObject *type);
PyObject *type_module(PyTypeObject *type);
int type_is_own(const Capture *capture, PyTypeObject *type);
int module_is_own(const Capture *capture, PyObject *name);
int inherits(PyTypeObject *type, PyTypeObject *base);
static inline Plan *
plan_at(Capture *capture, uint32_t row)
{
    return ITEMS(capture->plans, Plan) + row;
}

/* edges_containers.c, edges_code.c, edges_objects.c: contents of built-in types. */
Content known_content(Capture *capture, PyTypeObject *type);
Content container_content(Capture *capture, PyTypeObject *type);
Content code_content(Capture *capture, PyTypeObject *type);
Content leaf_content(Capture *capture, PyTypeObject *type);
void generic_content(Capture *capture, PyObject *object, const Plan *plan);
void derived_content(Capture *capture, PyObject *object, const Plan *plan);
void add_attributes(Capture *capture, PyObject *object, const Plan *plan);
void add_slots(Capture *capture, PyObject *object, const Plan *plan);
void refers_to_nothing(Capture *capture, PyObject *object, const Plan *plan);
uint32_t key_label(Capture *capture, PyObject *key);
void note_namespace(Capture *capture, PyObject *dict);
void relabel_dict(Capture *capture, PyObject *dict, uint32_t *label);
PyObject *local_name(PyCodeObject *code, int slot);
void add_locals(Capture *capture, CompatFrame *frame, PyCodeObject *code);
PyObject *namespace_get(PyObject *dict, const char *name);

/* finished.c */
void find_finish_test(Capture *capture, Plan *plan);
int has_finished(Capture *capture, PyObject *object, const Plan *plan);

/* roots.c */
int frame_is_hidden(const Capture *capture, PyObject *frame);
void find_named_roots(Capture *capture);
void walk_collector_lists(Capture *capture);
void find_unnamed_roots(Capture *capture);
void mark_garbage(Capture *capture);

/* bounds.c */
void find_owner_bounds(Capture *capture);

/* finish.c */
void list_indices(Capture *capture);
void number_edges(Capture *capture);
void put_names_right(Capture *capture);

/* equal.c */
void note_contents(Capture *capture, PyObject *object);
void find_equal(Capture *capture);

/* values.c: the text of plain strings, bytes and numbers, shortened; 0 for all else. */
uint32_t shown_key(Capture *capture, PyObject *key);
uint32_t shown_value(Capture *capture, PyObject *value);

/* prepare.c: what needs Python. -1 with an exception set on failure. */
int prepare_facts(Facts *facts, PyObject *own_prefix, int values, Py_ssize_t skip_frames,
                  traverseproc python_traverse);
traverseproc find_python_traverse(void);
int make_frame_objects(const Facts *facts);

/* What has been freed and only waits to be used again is no object. */
static inline int
is_alive(PyObject *object)
{
    return compat_is_immortal(object) || Py_REFCNT(object) > 0;
}

/* ---- adding edges ---------------------------------------------------------------------------- */

static inline void
add_edge(Capture *capture, PyObject *target, uint32_t label)
{
    uint32_t index = capture_index(capture, target);
    if (push_u32(&capture->edge_target, index) < 0 || push_u32(&capture->edge_label, label) < 0) {
        capture->failed = 1;
        capture->edge_label.size = capture->edge_target.size = 0;
    }
}

static inline void
add_optional_edge(Capture *capture, PyObject *target, uint32_t label)
{
    if (target != NULL) {
        add_edge(capture, target, label);
    }
}

static inline uint32_t
named_label(Capture *capture, unsigned kind, PyObject *name)
{
    uint32_t number = strings_add_object(&capture->strings, name);
    if (number > MAX_PAYLOAD) {
        capture->failed |= number == UINT32_MAX;
        number = 0;
    }
    return label_of(kind, number);
}

/* `name`: a literal, or something else that stays as it is. */
uint32_t text_label(Capture *capture, unsigned kind, const char *name);

static inline uint32_t
index_label(Py_ssize_t position)
{
    return label_of(INDEX, position > (Py_ssize_t)MAX_PAYLOAD ? MAX_PAYLOAD : (uint32_t)position);
}

void add_length(Capture *capture, uint64_t length, uint64_t bound);
void add_name(Capture *capture, uint32_t text, uint32_t file, uint32_t line);

#endif
