/* Read the columns that callers pass, with the same checks and messages as pure/search.py. */
#ifndef MEMLENS_GRAPH_COLUMNS_H
#define MEMLENS_GRAPH_COLUMNS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "graph/graph.h"
#include "graph/tree.h"

typedef struct {
    PyObject *view; /* a memoryview: keeps the memory there */
    const void *data;
    Py_ssize_t length;
} Column;

#define NO_COLUMN ((Column){NULL, NULL, 0})

int column_read(Column *column, PyObject *buffer, const char *name, char typecode);
void column_release(Column *column);

/* The same, with one item for each of `node_count` nodes. */
int node_column_read(Column *column, PyObject *buffer, const char *name, char typecode,
                     Py_ssize_t node_count);

/* A set of bits of `node_flags`: refused with a ValueError if no node can have it. */
int flags_check(long long flags, const char *name);

typedef struct {
    Column offset, target, label;
    Graph graph;
} EdgeColumns;

int edges_read(EdgeColumns *edges, PyObject *offset, PyObject *target, PyObject *label);
void edges_release(EdgeColumns *edges);

/* Shallow sizes: one for each of `node_count` nodes, and any sum of them fits in 64 bits. */
int sizes_read(Column *sizes, PyObject *buffer, Py_ssize_t node_count);

typedef struct {
    Column column;
    Tree tree;
} TreeColumn;

/* A column of immediate dominators. Returns -1 with a ValueError for one that is empty or names
 * nodes which are not there. Release its `column`. */
int tree_column_read(TreeColumn *tree, PyObject *dominator);

#endif
