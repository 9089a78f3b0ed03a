/* Instances, and the objects of C types that are not known one by one. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/capture.h"

#include <datetime.h>

void
add_slots(Capture *capture, PyObject *object, const Plan *plan)
{
    for (uint32_t i = 0; i < plan->slot_count; i++) {
        Field field = ITEMS(capture->fields, Field)[plan->first_slot + i];
        add_optional_edge(capture, *(PyObject **)((char *)object + field.offset), field.label);
    }
}

void
add_attributes(Capture *capture, PyObject *object, const Plan *plan)
{
    CompatAttributes found = compat_attributes(object, plan->type);
    capture->size += found.owned_bytes;
    if (found.dict != NULL) {
        note_namespace(capture, found.dict);
        add_edge(capture, found.dict, capture->label_dict);
    }
    for (Py_ssize_t i = 0; i < found.capacity && found.values != NULL; i++) {
        if (i >= (Py_ssize_t)plan->key_count) {
            break; /* no key of the class is without a place in `key_labels` */
        }
        if (found.values[i] != NULL) {
            add_edge(capture, found.values[i],
                     ITEMS(capture->key_labels, uint32_t)[plan->first_key + (uint32_t)i]);
        }
    }
}

/* ---- what tp_traverse shows ------------------------------------------------------------------ */

static int
note_shown(PyObject *target, void *arg)
{
    Capture *capture = arg;
    if (!is_alive(target)) {
        return 0;
    }
    if (buffer_reserve(&capture->scratch, sizeof target) < 0) {
        capture->failed = 1;
        return -1;
    }
    memcpy(capture->scratch.data + capture->scratch.size, &target, sizeof target);
    capture->scratch.size += sizeof target;
    return 0;
}

/* Take one reference to `target` out of what was shown. */
static int
claim(Capture *capture, PyObject *target)
{
    PyObject **shown = ITEMS(capture->scratch, PyObject *);
    size_t count = COUNT(capture->scratch, PyObject *);
    for (size_t i = 0; i < count; i++) {
        if (shown[i] == target) {
            shown[i] = NULL;
            return 1;
        }
    }
    return 0;
}

static void
claim_attributes(Capture *capture, PyObject *object, const Plan *plan)
{
    CompatAttributes found = compat_attributes(object, plan->type);
    if (found.dict != NULL) {
        claim(capture, found.dict);
    }
    for (Py_ssize_t i = 0; i < found.capacity && found.values != NULL; i++) {
        if (found.values[i] != NULL) {
            claim(capture, found.values[i]);
        }
    }
}

/* What the getter of a C type returns; the object holds it, so it outlives the reference given. */
static PyObject *
ask_getter(PyObject *object, const PyGetSetDef *def)
{
    PyObject *held = def->get(object, def->closure);
    if (held == NULL) {
        PyErr_Clear(); /* an empty field */
        return NULL;
    }
    if (Py_REFCNT(held) == 1) { /* made for the answer: nobody holds it */
        Py_DECREF(held);
        return NULL;
    }
    Py_DECREF(held);
    return held;
}

/* Fields with a name first, then the rest without one. `traversed`: only what was shown is held; a
 * type that the collector does not know holds what its members show. */
static void
add_shown(Capture *capture, PyObject *object, const Plan *plan, int traversed)
{
    for (uint32_t i = 0; i < plan->field_count; i++) {
        Field field = ITEMS(capture->fields, Field)[plan->first_field + i];
        PyObject *target = field.getter != NULL
                               ? ask_getter(object, field.getter)
                               : *(PyObject **)((char *)object + field.offset);
        if (target != NULL && (!traversed || claim(capture, target))) {
            add_edge(capture, target, field.label);
        }
    }
    size_t count = COUNT(capture->scratch, PyObject *);
    for (size_t i = 0; i < count; i++) {
        PyObject *target = ITEMS(capture->scratch, PyObject *)[i];
        if (target != NULL) {
            add_edge(capture, target, label_of(INTERNAL, 0));
        }
    }
    capture->scratch.size = 0;
}

void
generic_content(Capture *capture, PyObject *object, const Plan *plan)
{
    traverseproc traverse = plan->base->tp_traverse;
    capture->scratch.size = 0;
    if (traverse != NULL && compat_has_gc_header(object, plan->type)) {
        traverse(object, note_shown, capture);
        if (plan->holds_type) {
            claim(capture, (PyObject *)plan->type); /* has its edge already */
        }
        if (plan->content_shows_attributes) {
            claim_attributes(capture, object, plan);
        }
    }
    add_shown(capture, object, plan, traverse != NULL);
}

#define FEW 256

/* Take what the known base shows out of what the derived type shows. */
static void
claim_base(Capture *capture, PyObject *object, const Plan *plan)
{
    Buffer derived = capture->scratch;
    capture->scratch = (Buffer){NULL, 0, 0};
    plan->known->tp_traverse(object, note_shown, capture);
    Buffer base = capture->scratch;
    capture->scratch = derived;
    size_t count = COUNT(base, PyObject *), all = COUNT(derived, PyObject *);
    PyObject **shown = ITEMS(capture->scratch, PyObject *);
    if (count > 0 && count <= all && memcmp(shown + all - count, base.data, base.size) == 0) {
        capture->scratch.size -= base.size; /* it calls its base last, as most do */
    }
    else if (count > 0 && count <= all && memcmp(shown, base.data, base.size) == 0) {
        memset(capture->scratch.data, 0, base.size);
    }
    else if (count <= FEW) {
        for (size_t i = 0; i < count; i++) {
            claim(capture, ITEMS(base, PyObject *)[i]);
        }
    }
    else {
        capture->scratch.size = 0;
    }
    buffer_free(&base);
}

static void
add_ordered_dict_bytes(Capture *capture, PyObject *object)
{
    /* struct _odictobject: the table of nodes has a pointer for each place in the dict's own. */
    PyDictObject *dict = (PyDictObject *)object;
    size_t places = compat_keys_index_places(dict->ma_keys);
    capture->size += places * sizeof(void *) + (size_t)dict->ma_used * 4 * sizeof(void *);
}

/* A C type built upon one that is known, such as defaultdict upon dict. */
void
derived_content(Capture *capture, PyObject *object, const Plan *plan)
{
    plan->known_content(capture, object, plan);
    capture->scratch.size = 0;
    traverseproc traverse = plan->base->tp_traverse;
    if (traverse == NULL || !compat_has_gc_header(object, plan->type)) {
        return;
    }
    traverse(object, note_shown, capture);
    if (plan->known->tp_traverse != NULL && plan->known->tp_traverse != traverse) {
        claim_base(capture, object, plan);
    }
    else if (plan->known->tp_traverse == traverse) {
        capture->scratch.size = 0;
    }
    if (plan->holds_type) {
        claim(capture, (PyObject *)plan->type);
    }
    if (plan->content_shows_attributes) {
        claim_attributes(capture, object, plan);
    }
    if (plan->base == &PyODict_Type) {
        add_ordered_dict_bytes(capture, object);
        size_t count = COUNT(capture->scratch, PyObject *);
        for (size_t i = 0; i < count; i++) { /* the list that keeps the order holds each key again */
            PyObject *key = ITEMS(capture->scratch, PyObject *)[i];
            add_optional_edge(capture, key, label_of(ITEM, 0));
        }
        capture->scratch.size = 0;
        return;
    }
    add_shown(capture, object, plan, 1);
}

/* ---- C types of the standard library and numpy, by their structure --------------------------- */

typedef struct { /* Modules/_collectionsmodule.c, 3.10 to 3.13 */
    PyObject_VAR_HEAD
    void *leftblock, *rightblock;
    Py_ssize_t leftindex, rightindex;
    size_t state;
    Py_ssize_t maxlen;
} Deque;

enum { DEQUE_BLOCK_ITEMS = 64, DEQUE_BLOCK_BYTES = (64 + 2) * 8 };

static void
deque_content(Capture *capture, PyObject *object, const Plan *plan)
{
    Deque *deque = (Deque *)object;
    Py_ssize_t length = Py_SIZE(deque), position = 0;
    capture->scratch.size = 0;
    plan->known->tp_traverse(object, note_shown, capture);
    PyObject **shown = ITEMS(capture->scratch, PyObject *);
    size_t count = COUNT(capture->scratch, PyObject *);
    int skip_type = count == (size_t)length + 1; /* a class made at run time shows itself too */
    for (size_t i = 0; i < count; i++) {
        if (skip_type && shown[i] == (PyObject *)plan->known) {
            skip_type = 0;
            continue;
        }
        add_edge(capture, ITEMS(capture->scratch, PyObject *)[i], index_label(position++));
    }
    capture->scratch.size = 0;
    Py_ssize_t blocks = (deque->leftindex + length + DEQUE_BLOCK_ITEMS - 1) / DEQUE_BLOCK_ITEMS;
    capture->size += (uint64_t)(blocks > 0 ? blocks : 1) * DEQUE_BLOCK_BYTES;
    add_length(capture, (uint64_t)length, deque->maxlen < 0 ? NO_BOUND : (uint64_t)deque->maxlen);
}

typedef struct LruLink { /* Modules/_functoolsmodule.c, 3.10 to 3.13 */
    PyObject_HEAD
    struct LruLink *previous, *next;
    Py_hash_t hash;
    PyObject *key, *result;
} LruLink;

typedef struct {
    LruLink root; /* its type and count are the cache's own */
    void *wrapper;
    int typed;
    PyObject *cache;
    Py_ssize_t hits;
    PyObject *function;
    Py_ssize_t maxsize;
} LruCache;

/* Traversal shows what the links hold as if the cache did: so the links themselves show nothing.
 * The list that they form holds each link once, as the cache's dict does. */
static void
add_links(Capture *capture, LruCache *cache)
{
    for (LruLink *link = cache->root.next; link != &cache->root; link = link->next) {
        add_edge(capture, (PyObject *)link, text_label(capture, INTERNAL, "link"));
        if (claim(capture, link->key)) {
            add_edge(capture, link->key, label_of(ITEM, 0));
        }
        if (claim(capture, link->result)) {
            add_edge(capture, link->result, key_label(capture, link->key));
        }
    }
}

static void
lru_cache_content(Capture *capture, PyObject *object, const Plan *plan)
{
    LruCache *cache = (LruCache *)object;
    capture->scratch.size = 0;
    plan->known->tp_traverse(object, note_shown, capture);
    if (plan->holds_type) {
        claim(capture, (PyObject *)plan->type);
    }
    if (claim(capture, cache->cache)) {
        add_edge(capture, cache->cache, text_label(capture, INTERNAL, "cache"));
    }
    if (claim(capture, cache->function)) {
        add_edge(capture, cache->function, text_label(capture, INTERNAL, "__wrapped__"));
    }
    CompatAttributes attributes = compat_attributes(object, plan->type);
    if (attributes.dict != NULL && claim(capture, attributes.dict)) {
        note_namespace(capture, attributes.dict);
        add_edge(capture, attributes.dict, capture->label_dict);
    }
    if (cache->maxsize > 0) {
        add_links(capture, cache);
    }
    size_t count = COUNT(capture->scratch, PyObject *);
    for (size_t i = 0; i < count; i++) {
        add_optional_edge(capture, ITEMS(capture->scratch, PyObject *)[i], label_of(INTERNAL, 0));
    }
    capture->scratch.size = 0;
    add_length(capture, (uint64_t)((PyDictObject *)cache->cache)->ma_used,
               cache->maxsize < 0 ? NO_BOUND : (uint64_t)cache->maxsize);
}

static void
datetime_content(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)plan; /* time and datetime differ only in where the field lies */
    if (((_PyDateTime_BaseTZInfo *)object)->hastzinfo) {
        PyObject *zone = plan->known->tp_basicsize == sizeof(PyDateTime_Time)
                             ? ((PyDateTime_Time *)object)->tzinfo
                             : ((PyDateTime_DateTime *)object)->tzinfo;
        add_optional_edge(capture, zone, text_label(capture, INTERNAL, "tzinfo"));
    }
}

typedef struct { /* numpy/ndarraytypes.h: the same in numpy 1 and 2 */
    PyObject_HEAD
    char *data;
    int dimensions;
    Py_ssize_t *shape, *strides;
    PyObject *base;
    PyObject *dtype;
    int flags;
} Array;

typedef struct {
    PyObject_HEAD
    PyTypeObject *type;
    char kind, code, byteorder, former_flags;
    int type_number;
    int item_bytes_1;         /* numpy 1 */
    int alignment_1;
    Py_ssize_t item_bytes_2;  /* numpy 2, after 64 bits of flags */
} ArrayType;
_Static_assert(offsetof(ArrayType, item_bytes_1) == 32, "numpy 1");
_Static_assert(offsetof(ArrayType, item_bytes_2) == 40, "numpy 2");

enum { ARRAY_C_ORDER = 1, ARRAY_F_ORDER = 2, ARRAY_OWNS_DATA = 4, ARRAY_OF_OBJECTS = 17 };

static void
ndarray_content(Capture *capture, PyObject *object, const Plan *plan)
{
    Array *array = (Array *)object;
    const ArrayType *dtype = (ArrayType *)array->dtype;
    (void)plan;
    add_optional_edge(capture, array->base, text_label(capture, INTERNAL, "base"));
    add_optional_edge(capture, array->dtype, text_label(capture, INTERNAL, "dtype"));
    capture->size += (uint64_t)array->dimensions * 2 * sizeof(Py_ssize_t);
    if (dtype == NULL || !(array->flags & ARRAY_OWNS_DATA)) {
        return; /* a view: the bytes belong to its base */
    }
    Py_ssize_t count = 1;
    for (int i = 0; i < array->dimensions; i++) {
        count *= array->shape[i];
    }
    Py_ssize_t item_bytes
        = capture->facts.numpy_major >= 2 ? dtype->item_bytes_2 : dtype->item_bytes_1;
    capture->size += (uint64_t)count * (uint64_t)item_bytes;
    if (dtype->type_number == ARRAY_OF_OBJECTS && item_bytes == sizeof(PyObject *)
        && array->flags & (ARRAY_C_ORDER | ARRAY_F_ORDER)) {
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *item = ((PyObject **)array->data)[i];
            add_optional_edge(capture, item, index_label(i));
        }
    }
}

typedef struct { /* Modules/arraymodule.c */
    PyObject_VAR_HEAD
    char *items;
    Py_ssize_t allocated;
    const struct {
        char typecode;
        int item_bytes;
    } *description;
} PlainArray;

static void
plain_array_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PlainArray *array = (PlainArray *)object;
    (void)plan;
    capture->size += (uint64_t)array->allocated * (uint64_t)array->description->item_bytes;
}

#if MEMLENS_MINOR < 12
typedef struct { /* Modules/_io/bytesio.c: later versions show the text to the collector */
    PyObject_HEAD
    PyObject *text;
} BytesBuffer;

static void
bytes_buffer_content(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)plan;
    add_optional_edge(capture, ((BytesBuffer *)object)->text, label_of(INTERNAL, 0));
}
#endif

/* By name: not by asking a module, which the program may have changed. A class made by a class
 * statement is never meant, whatever it is called. */
static Content
structured_content(const Capture *capture, PyTypeObject *type)
{
    static const struct {
        const char *name;
        size_t bytes;
        Content content;
    } known[] = {
        {"collections.deque", sizeof(Deque), deque_content},
        {"functools._lru_cache_wrapper", sizeof(LruCache), lru_cache_content},
        {"functools._lru_list_elem", sizeof(LruLink), refers_to_nothing},
        {"datetime.datetime", sizeof(PyDateTime_DateTime), datetime_content},
        {"datetime.time", sizeof(PyDateTime_Time), datetime_content},
        {"array.array", sizeof(PlainArray), plain_array_content},
#if MEMLENS_MINOR < 12
        {"_io.BytesIO", sizeof(BytesBuffer), bytes_buffer_content},
#endif
        {"numpy.ndarray", sizeof(Array), ndarray_content},
    };
    if (type->tp_traverse == capture->facts.python_traverse) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(type->tp_name, known[i].name) == 0
            && (size_t)type->tp_basicsize >= known[i].bytes
            && (known[i].content != ndarray_content || capture->facts.numpy_major != 0)) {
            return known[i].content;
        }
    }
    return NULL;
}

Content
known_content(Capture *capture, PyTypeObject *type)
{
    Content content = leaf_content(capture, type);
    content = content != NULL ? content : container_content(capture, type);
    content = content != NULL ? content : code_content(capture, type);
    return content != NULL ? content : structured_content(capture, type);
}

#endif
