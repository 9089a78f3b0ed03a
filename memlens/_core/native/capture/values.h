/* The text of plain strings, bytes and numbers, shortened; string 0 for all else. */
#ifndef MEMLENS_CAPTURE_VALUES_H
#define MEMLENS_CAPTURE_VALUES_H

#include "capture/store.h"

/* As a key, in quotation marks where Python has them. */
uint32_t shown_key(Capture *capture, PyObject *key);

uint32_t shown_value(Capture *capture, PyObject *value);

#endif
