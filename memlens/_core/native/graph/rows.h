/* Read several columns at once, and rows of nodes: what the functions of growth have in common. */
#ifndef MEMLENS_GRAPH_ROWS_H
#define MEMLENS_GRAPH_ROWS_H

#include "graph/columns.h"

typedef struct {
    const char *name;
    char typecode;
} ColumnName;

/* All or none: returns -1 with an exception set, and then nothing is to be released. */
int columns_read(Column *columns, PyObject *const *buffers, const ColumnName *names, int count);
void columns_release(Column *columns, int count);

/* Compressed rows: offsets ascend from 0 to the number of nodes named, which all exist. */
int rows_check(const Column *offset, const Column *node, Py_ssize_t node_count);

/* Check that no number leads out of a column of `limit` entries; NODE_NONE is let through. */
int numbers_check(const Column *column, const char *name, Py_ssize_t limit);

/* Check that all numbers are of one of `node_count` nodes. */
int nodes_check(const Column *column, const char *name, Py_ssize_t node_count);

/* Check that a column has an entry for each of `node_count` nodes, which 32 bits can number. */
int length_check(const Column *column, const char *name, Py_ssize_t node_count);

/* Check that numbers ascend and are below `limit`. */
int ascending_check(const Column *column, const char *name, Py_ssize_t limit);

#endif
