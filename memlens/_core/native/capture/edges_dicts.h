/* The reader of dicts, and the labels of their values. */
#ifndef MEMLENS_CAPTURE_EDGES_DICTS_H
#define MEMLENS_CAPTURE_EDGES_DICTS_H

#include "capture/store.h"

void dict_content(Capture *capture, PyObject *object, const Plan *plan);

/* The label of a value whose key is not a name: the type of the key, or the key itself if the
 * caller asked for values. */
uint32_t key_label(Capture *capture, PyObject *key);

/* Rewrite the labels of a dict that turned out to be a namespace; `label` is that of its first
 * edge. */
void relabel_dict(Capture *capture, PyObject *object, uint32_t *label);

#endif
