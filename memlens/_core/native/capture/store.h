/* A capture in progress: what the walk has found so far.
 *
 * There are two numberings. An object gets an *index* when a reference to it is first seen, and
 * a *node* when the depth-first walk reads it. Edges hold indices until numbering.c turns them
 * into nodes. During a capture no object is written to, no reference count changes, no Python
 * memory is allocated (except for the texts that `values` asks for) and no code of the program
 * runs. */
#ifndef MEMLENS_CAPTURE_STORE_H
#define MEMLENS_CAPTURE_STORE_H

#include "base/compat.h"
#include "base/layout.h"
#include "base/buffer.h"
#include "base/strings.h"
#include "base/table.h"
#include "capture/facts.h"
#include "capture/plan.h"

#define MANY_REFERENCES UINT32_MAX /* a count that is not known exactly */

enum { BLOCK_FILTER_BITS = 1 << 17 };

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

/* A block of native memory that an object holds: see native_rows.h. */
typedef struct {
    uint64_t address; /* 0: unknown, and of this object alone */
    uint64_t bytes;
    uint32_t owner;           /* index */
    uint32_t device, library; /* strings */
    uint32_t origin;          /* one of the following */
} NativeRow;

enum {
    OF_OBJECT = 0,  /* read from the object that owns it */
    OF_VIEW = 1,    /* read from a view: counts where nothing else tells of this memory */
    OF_ADAPTER = 2, /* told by an adapter of the library */
    OF_MAPPING = 3  /* read from the object that owns it: see native_mappings.c */
};

typedef struct {
    uint32_t owner, block; /* nodes */
} NativeEdge;

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
    Buffer node_size;       /* u32, narrow: see long_sizes */
    Buffer node_flags;      /* u16 */
    Buffer node_references; /* u32: references; numbering.c subtracts explained ones */
    Buffer edge_count;      /* u32, narrow: see long_counts; until add_up_edges */
    Buffer edge_offset;     /* u64, from there on */

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
    Buffer long_lengths, long_sizes, long_counts, bounds; /* SparseRow */
    Buffer owner_bounds; /* u64, by row of lengths; 0 where the owner states no cap */
    Buffer values;     /* u32 pairs: node, string */
    Buffer text_hashes; /* u32: of the contents of each str and bytes, in the order of nodes */
    Buffer long_texts;  /* u32: the rows above that are hashes of a part: see equal.c */
    Buffer equal_node, equal_group; /* u32 */
    Buffer prefix_node, prefix_hash; /* u32 */
    Buffer block_node;    /* u32: the owner of a sampled block */
    Buffer block_address; /* u64 */
    Buffer native_rows;   /* NativeRow */
    Buffer native_owners; /* u32 index: the objects that adapters measure */
    Buffer native_edges;  /* NativeEdge */
    Buffer native_node, native_device, native_library; /* u32 */
    Buffer resident_node; /* u32 */
    Buffer resident_bytes; /* u64 */
    Buffer native_notes;  /* text */
    uint8_t block_filter[BLOCK_FILTER_BITS / 8]; /* see blocks.c */
    Buffer frames;     /* FrameRow */
    Buffer roots;      /* Root */
    Buffer hidden;     /* u32 index: references of frames that are left out */
    Buffer borrowed;   /* u32 index: targets of edges that no reference count includes */
    Buffer hidden_frames; /* PyObject *: their frame objects */
    Buffer module_files;  /* u32: file (string) of the module with this name (string) */
    Buffer mentions;   /* u32: index of the tuple with the names that a code object uses */
    Buffer closures;   /* u64 pairs: index of the tuple, the code that names its cells */
    Buffer relabel;    /* u32 index: dicts that turned out to be namespaces after their edges */
    Buffer stack;      /* u64 pairs: edges still to follow */
    Buffer scratch;    /* PyObject *: what a traversal shows */
    size_t scratch_next; /* where the next claim begins to look */
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

    /* Asks the adapters about native_owners; puts what they send into the buffer. NULL: it is there. */
    void (*on_measure)(Capture *, Buffer *chunks);
    void (*on_progress)(Capture *); /* called now and then, if not NULL */
    void *listener;

    int failed; /* no memory, or more objects than 32 bits can number */
};

int capture_init(Capture *capture, const Facts *facts); /* -1: no memory */
void capture_free(Capture *capture);

/* The index of an object, which gets one if it has none yet. */
uint32_t capture_index(Capture *capture, PyObject *object);

/* A freed object that waits in a free list for its next use is not alive. */
static inline int
is_alive(PyObject *object)
{
    return compat_is_immortal(object) || Py_REFCNT(object) > 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Append a row, a variable, to a buffer of the capture. */
#define PUSH_ROW(capture, buffer, row)                                                              \
    ((capture)->failed |= buffer_push(buffer, &(row), sizeof(row)) < 0)

void add_root(Capture *capture, PyObject *object, int kind, uint32_t name, uint32_t frame,
              int counted);
void add_length(Capture *capture, uint64_t length, uint64_t bound);

/* Append a number of the object being read to a narrow column: 32 bits an item. The greatest 32-bit
 * number stands for all beyond, which get a row in `beyond`. The walk takes the most memory, so its
 * columns are narrow. */
void push_narrow(Capture *capture, Buffer *column, Buffer *beyond, uint64_t value);

void add_name(Capture *capture, uint32_t text, uint32_t file, uint32_t line);

/* Note native memory that the object with this index holds. The texts are literals. */
void add_native(Capture *capture, uint32_t owner, int origin, const void *address, uint64_t bytes,
                const char *device, const char *library);

/* The number of a string. */
uint32_t string_of(Capture *capture, PyObject *text);

static inline PyObject *
object_at(const Capture *capture, uint32_t index)
{
    return (PyObject *)(uintptr_t)ITEMS(capture->address, uint64_t)[index];
}

static inline Plan *
plan_at(Capture *capture, uint32_t row)
{
    return ITEMS(capture->plans, Plan) + row;
}

/* The value of a node in rows that are in the order of nodes; `at` is the next row. */
static inline uint64_t
sparse_value(const Buffer *sparse, size_t *at, uint32_t node, uint64_t otherwise)
{
    const SparseRow *rows = (const SparseRow *)sparse->data;
    if (*at < sparse->size / sizeof(SparseRow) && rows[*at].node == node) {
        return rows[(*at)++].value;
    }
    return otherwise;
}

/* ---- once all nodes are numbered ------------------------------------------------------------- */

static inline PyObject *
object_of_node(const Capture *capture, uint32_t node)
{
    return object_at(capture, ITEMS(capture->node_index, uint32_t)[node]);
}

static inline uint64_t
edges_end(const Capture *capture, uint32_t node)
{
    return node + 1 < capture->node_count ? ITEMS(capture->edge_offset, uint64_t)[node + 1]
                                          : COUNT(capture->edge_label, uint32_t);
}

/* ---- namespaces and hidden frames ------------------------------------------------------------ */

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

/* Note that this dict is the `__dict__` of something: its keys are names. */
void note_namespace(Capture *capture, PyObject *dict);

/* Whether this is the object of a frame that is left out: see frame_roots.c. */
int frame_is_hidden(const Capture *capture, PyObject *frame);

/* ---- edges of the object being read ---------------------------------------------------------- */

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

/* Note that an edge that was just added is not part of the reference count of its target. */
static inline void
note_borrowed(Capture *capture, PyObject *target)
{
    capture->failed |= push_u32(&capture->borrowed, capture_index(capture, target)) < 0;
}

/* `name`: a literal, or something else that stays as it is. */
uint32_t text_label(Capture *capture, unsigned kind, const char *name);

/* An edge from the C part of an object, if there is a target. */
static inline void
add_named(Capture *capture, PyObject *target, const char *name)
{
    if (target != NULL) {
        add_edge(capture, target, text_label(capture, INTERNAL, name));
    }
}

static inline void
add_all_named(Capture *capture, const CompatNamed *fields, int count)
{
    for (int i = 0; i < count; i++) {
        add_named(capture, fields[i].object, fields[i].name);
        if (fields[i].object != NULL && fields[i].is_borrowed) {
            note_borrowed(capture, fields[i].object);
        }
    }
}

static inline uint32_t
index_label(Py_ssize_t position)
{
    return label_of(INDEX, position > (Py_ssize_t)MAX_PAYLOAD ? MAX_PAYLOAD : (uint32_t)position);
}

#endif
