/* The types that the capture knows one by one: a row for each, all in types.c. */
#ifndef MEMLENS_CAPTURE_TYPES_H
#define MEMLENS_CAPTURE_TYPES_H

#include "capture/facts.h"
#include "capture/plan.h"

/* How to tell whether an object has finished its work. */
enum {
    NO_TEST,
    BY_GETTER,     /* a getter returns True, which only reads a field */
    BY_METHOD,     /* a method without arguments returns True, which only reads fields */
    BY_INNER,      /* the object in a member has finished */
    BY_INNER_GETTER, /* the object that a getter returns has finished; no row names it */
    BY_DESCRIPTOR, /* the file descriptor, the first field, is negative */
    BY_THREAD      /* a threading.Thread */
};

/* An object field that no member shows. */
typedef struct {
    const char *name;
    Py_ssize_t offset;
} HiddenField;

enum { MOST_HIDDEN_FIELDS = 4 };

typedef struct {
    /* Which type: a static one, one that a variable points to, or one with this tp_name. */
    PyTypeObject *type;
    PyObject **variable;
    const char *name;
    size_t least_bytes; /* a smaller tp_basicsize means another structure */

    /* How its objects are read. Without a reader: by tp_traverse and the fields below. */
    Content content;
    Rest rest;                /* of a type that is read like its base: what it has beyond that */
    Namer namer;              /* of a type without a reader, whose objects have names */
    Memory memory;            /* native memory that its objects hold, and those of derived types */
    uint8_t counts_items;     /* the reader counts items: Py_SIZE is not their number */
    uint8_t reads_attributes; /* the reader adds the attributes of the instance */
    uint8_t shown_by_owner;   /* another object shows what its objects hold, their class included */
    uint8_t is_compared;      /* equal objects are looked for: str and bytes */

    /* Fields that are named, of objects without a reader. */
    HiddenField fields[MOST_HIDDEN_FIELDS];
    const char *const *getters; /* each only returns what a field holds; the last one is NULL */

    /* Whether its objects have finished: one of the above, and what getter, method or member. */
    uint8_t finish_kind;
    const char *finish_name;
} KnownType;

/* The row of exactly this type, or NULL. */
const KnownType *known_type(const Facts *facts, PyTypeObject *type);

/* What notes the native memory of its objects, or NULL: of its own row or that of a base. */
Memory known_memory(const Facts *facts, PyTypeObject *type);

/* Its reader, or NULL. */
Content known_content(const Facts *facts, PyTypeObject *type);

#endif
