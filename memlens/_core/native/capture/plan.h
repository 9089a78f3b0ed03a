/* How to read the objects of one type. */
#ifndef MEMLENS_CAPTURE_PLAN_H
#define MEMLENS_CAPTURE_PLAN_H

#include "base/compat.h"

typedef struct Capture Capture;
typedef struct Plan Plan;

/* Adds the references that the C part of an object holds, and the bytes that it owns. */
typedef void (*Content)(Capture *capture, PyObject *object, const Plan *plan);

/* Adds what traversal has shown of an object beyond its known base (in the scratch buffer). */
typedef void (*Rest)(Capture *capture, PyObject *object);

/* Notes the name that an object has, from what traversal has shown of it (in the scratch buffer). */
typedef void (*Namer)(Capture *capture, const Plan *plan);
/* Notes the native memory that an object holds: see native_memory.c. */
typedef void (*Memory)(Capture *capture, PyObject *object);

/* How to tell whether an object has finished its work: see finished.c. */
typedef struct {
    PyTypeObject *type; /* of the object */
    void *how;          /* a getter, a method or a member, depending on the kind */
    uint8_t kind;       /* of types.h */
} FinishTest;

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
    FinishTest finish;       /* how to tell whether its objects have finished */
    Memory memory;           /* or NULL */
    uint8_t is_measured;     /* by an adapter of its library */
    Rest rest;               /* what objects of `base` hold beyond `known`, if not NULL */
    Namer namer;             /* of objects of `base` that have a name, else NULL */
};

#endif
