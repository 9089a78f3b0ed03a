/* C types of the standard library, by their structure. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/edges_stdlib.h"
#include "base/structures.h"
#include "capture/edges_dicts.h"
#include "capture/shown.h"

void
deque_content(Capture *capture, PyObject *object, const Plan *plan)
{
    Deque *deque = (Deque *)object;
    Py_ssize_t length = Py_SIZE(deque), position = 0;
    list_shown(capture, object, plan->known->tp_traverse);
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

/* tp_traverse of the cache shows the keys and results of its links, so the links show nothing. Each
 * link is held once by the linked list and once by the dict of the cache. */
static void
add_links(Capture *capture, LruCache *cache)
{
    for (LruLink *link = cache->root.next; link != NULL && link != &cache->root;
         link = link->next) {
        add_edge(capture, (PyObject *)link, text_label(capture, INTERNAL, "link"));
        if (claim(capture, link->key)) {
            add_edge(capture, link->key, label_of(ITEM, 0));
        }
        if (claim(capture, link->result)) {
            add_edge(capture, link->result, key_label(capture, link->key));
        }
    }
}

void
lru_cache_content(Capture *capture, PyObject *object, const Plan *plan)
{
    LruCache *cache = (LruCache *)object;
    list_shown(capture, object, plan->known->tp_traverse);
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
    add_unclaimed(capture, label_of(INTERNAL, 0));
    /* The collector may have taken the dict away. */
    Py_ssize_t length = cache->cache == NULL ? 0 : ((PyDictObject *)cache->cache)->ma_used;
    add_length(capture, (uint64_t)length,
               cache->maxsize < 0 ? NO_BOUND : (uint64_t)cache->maxsize);
}

/* The name follows the context and the coroutine, which is gone where a task ended at its start. Until
 * somebody asks for it, the name that asyncio gives a task is a number from 3.12 on. */
void
add_task_name(Capture *capture, const Plan *plan)
{
    PyObject **shown = ITEMS(capture->scratch, PyObject *);
    size_t count = COUNT(capture->scratch, PyObject *);
    size_t first = count > 0 && shown[0] == (PyObject *)plan->type; /* of a class made at run time */
    for (size_t i = first; i < count && i < first + 3; i++) {
        if (PyUnicode_CheckExact(shown[i])) {
            add_name(capture, string_of(capture, shown[i]), 0, 0);
            return;
        }
        if (PyLong_CheckExact(shown[i])) {
            char text[32];
            int overflow;
            long long number = PyLong_AsLongLongAndOverflow(shown[i], &overflow);
            snprintf(text, sizeof text, "Task-%lld", number);
            add_name(capture, strings_add(&capture->strings, text, strlen(text)), 0, 0);
            return;
        }
    }
    add_name(capture, 0, 0, 0);
}

void
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

void
plain_array_content(Capture *capture, PyObject *object, const Plan *plan)
{
    PlainArray *array = (PlainArray *)object;
    (void)plan;
    if (array->description != NULL) {
        capture->size += (uint64_t)array->allocated * (uint64_t)array->description->item_bytes;
    }
}

void
bytes_buffer_content(Capture *capture, PyObject *object, const Plan *plan)
{
    (void)plan;
    add_optional_edge(capture, ((BytesBuffer *)object)->text, label_of(INTERNAL, 0));
}

void
text_buffer_content(Capture *capture, PyObject *object, const Plan *plan)
{
    TextBuffer *buffer = (TextBuffer *)object;
    (void)plan;
    add_optional_edge(capture, buffer->joined, label_of(INTERNAL, 0));
    add_optional_edge(capture, buffer->pieces, label_of(INTERNAL, 0));
    add_optional_edge(capture, buffer->decoder, label_of(INTERNAL, 0));
    add_optional_edge(capture, buffer->read_newline, label_of(INTERNAL, 0));
    add_optional_edge(capture, buffer->write_newline, label_of(INTERNAL, 0));
}

void
ordered_dict_rest(Capture *capture, PyObject *object)
{
    /* struct _odictobject: the table of nodes has a pointer for each place in the dict's own. */
    PyDictObject *dict = (PyDictObject *)object;
    size_t places = dict->ma_keys == NULL ? 0 : compat_keys_index_places(dict->ma_keys);
    capture->size += places * sizeof(void *) + (size_t)dict->ma_used * 4 * sizeof(void *);
    add_unclaimed(capture, label_of(ITEM, 0)); /* the linked list holds each key again */
}

#endif
