/* What tp_traverse shows of an object: a list of references, from which readers take those they
 * name. */
#ifndef MEMLENS_CAPTURE_SHOWN_H
#define MEMLENS_CAPTURE_SHOWN_H

#include "capture/store.h"

/* List what `traverse` shows; what was listed before is dropped. */
void list_shown(Capture *capture, PyObject *object, traverseproc traverse);

/* Take one reference to `target` out of the list. Returns whether it was there. */
int claim(Capture *capture, PyObject *target);

/* Take out the attributes, which have edges of their own. */
void claim_attributes(Capture *capture, PyObject *object, const Plan *plan);

/* Take out what the known base shows as well, whose reader has added it. */
void claim_base(Capture *capture, PyObject *object, const Plan *plan);

/* Add an edge with this label for each reference that is left, and drop the list. */
void add_unclaimed(Capture *capture, uint32_t label);

#endif
