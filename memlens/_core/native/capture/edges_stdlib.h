/* Readers of C types of the standard library, by their structure. */
#ifndef MEMLENS_CAPTURE_EDGES_STDLIB_H
#define MEMLENS_CAPTURE_EDGES_STDLIB_H

#include "capture/store.h"

void deque_content(Capture *capture, PyObject *object, const Plan *plan);
void lru_cache_content(Capture *capture, PyObject *object, const Plan *plan);
void datetime_content(Capture *capture, PyObject *object, const Plan *plan);
void plain_array_content(Capture *capture, PyObject *object, const Plan *plan);
void bytes_buffer_content(Capture *capture, PyObject *object, const Plan *plan);
void text_buffer_content(Capture *capture, PyObject *object, const Plan *plan);

void add_task_name(Capture *capture, const Plan *plan);

/* What an OrderedDict has beyond a dict. */
void ordered_dict_rest(Capture *capture, PyObject *object);

#endif
