/* Whether a large text or buffer still begins as it did. */
#ifndef MEMLENS_CAPTURE_PREFIXES_H
#define MEMLENS_CAPTURE_PREFIXES_H

#include "capture/store.h"

/* Note the keyed hash of the first bytes of a large str, bytes, bytearray or array. */
void note_prefix(Capture *capture, PyObject *object, const Plan *plan);

#endif
