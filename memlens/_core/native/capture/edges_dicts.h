/* The reader of dicts, and the labels of their values. */
#ifndef MEMLENS_CAPTURE_EDGES_DICTS_H
#define MEMLENS_CAPTURE_EDGES_DICTS_H

#include "capture/store.h"

void dict_content(Capture *capture, PyObject *object, const Plan *plan);

/* The label of the value under a key that is no name: the type of the key, or the key itself where
 * the caller asked for values. */
uint32_t key_label(Capture *capture, PyObject *key);

/* Write the labels of a dict anew that turned out to be a namespace; `label`: of its first edge. */
void relabel_dict(Capture *capture, PyObject *object, uint32_t *label);

#endif
