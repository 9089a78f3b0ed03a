/* The numbers and sections of memlens/_core/layout.py, in its order. Independent of Python. */
#ifndef MEMLENS_BASE_LAYOUT_H
#define MEMLENS_BASE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define NODE_NONE UINT32_MAX
#define MAX_NODES (UINT32_MAX - 2)
#define NO_BOUND UINT64_MAX

/* The label of an edge: a kind in the low bits, a string or a position in the others. */
#define LABEL_BITS 3
#define KIND_MASK ((1u << LABEL_BITS) - 1)
#define MAX_PAYLOAD ((UINT32_C(1) << (32 - LABEL_BITS)) - 1)

enum { INTERNAL = 0, ATTRIBUTE = 1, KEY = 2, INDEX = 3, LOCAL = 4, CELL = 5, WEAK = 6, ITEM = 7 };

static inline uint32_t
label_of(unsigned kind, uint32_t payload)
{
    return payload << LABEL_BITS | kind;
}

static inline int
label_is_weak(uint32_t label)
{
    return (label & KIND_MASK) == WEAK;
}

enum {
    ROOT_MODULE = 1,
    ROOT_FRAME = 2,
    ROOT_INTERPRETER = 3,
    ROOT_STATIC_TYPE = 4,
    ROOT_INTERNED = 5,
    ROOT_IMMORTAL = 6,
    ROOT_EXTERNAL = 7
};

enum {
    FLAG_TRACKED = 1,
    FLAG_GARBAGE = 2,
    FLAG_IMMORTAL = 4,
    FLAG_NAMESPACE = 8,
    FLAG_FINISHED = 16,
    FLAG_OWN = 32,
    FLAG_HEAP_TYPE = 64,
    FLAG_NATIVE = 128
};

#define LARGEST_STORED 1000

enum {
    NODE_ADDRESS,
    NODE_TYPE,
    NODE_SIZE,
    NODE_FLAGS,
    EDGE_OFFSET,
    EDGE_TARGET,
    EDGE_LABEL,
    TYPE_NAME,
    TYPE_NODE,
    ROOT_KIND,
    ROOT_NAME,
    ROOT_COUNT,
    ROOT_FRAME_ROW,
    FRAME_THREAD,
    FRAME_FUNCTION,
    FRAME_FILE,
    FRAME_LINE,
    FRAME_DEPTH,
    CONTAINER_NODE,
    CONTAINER_LENGTH,
    CONTAINER_BOUND,
    NAME_NODE,
    NAME_TEXT,
    NAME_FILE,
    NAME_LINE,
    VALUE_NODE,
    VALUE_TEXT,
    STRING_OFFSET,
    STRING_BYTES,
    EQUAL_NODE,
    EQUAL_GROUP,
    PREFIX_NODE,
    PREFIX_HASH,
    BLOCK_NODE,
    BLOCK_ADDRESS,
    NATIVE_NODE,
    NATIVE_DEVICE,
    NATIVE_LIBRARY,
    RESIDENT_NODE,
    RESIDENT_BYTES,
    NATIVE_NOTES,
    SECTION_COUNT
};

typedef struct {
    const char *name;
    char typecode;
} SectionName;

extern const SectionName section_names[SECTION_COUNT];

/* Bytes of one item, by the typecode of array.array. */
static inline size_t
typecode_bytes(char typecode)
{
    return typecode == 'H' ? 2 : typecode == 'I' ? 4 : typecode == 'Q' ? 8 : 1;
}

#endif
