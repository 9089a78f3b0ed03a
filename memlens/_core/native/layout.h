/* The sections of memlens/_core/layout.py, in its order. */
#ifndef MEMLENS_LAYOUT_H
#define MEMLENS_LAYOUT_H

#include "capture.h"

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
    SECTION_COUNT
};

typedef struct {
    const char *name;
    char typecode;
} SectionName;

extern const SectionName section_names[SECTION_COUNT];

/* Turn a finished capture into its sections, SECTION_COUNT of them. -1: no memory, nothing taken. */
int take_sections(Capture *capture, Buffer *sections);
void free_sections(Buffer *sections);
Graph sections_graph(const Buffer *sections);

#endif
