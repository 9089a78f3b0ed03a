/* Whether a text or a large buffer still begins as it did. */
#ifndef MEMLENS_CAPTURE_PREFIXES_H
#define MEMLENS_CAPTURE_PREFIXES_H

#include "capture/store.h"

/* Note the keyed hash of the beginning of a str or bytes, or of a large bytearray or array. */
void note_prefix(Capture *capture, PyObject *object, const Plan *plan);

#endif
