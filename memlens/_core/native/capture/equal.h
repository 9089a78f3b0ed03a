/* Which strings and bytes are equal. */
#ifndef MEMLENS_CAPTURE_EQUAL_H
#define MEMLENS_CAPTURE_EQUAL_H

#include "capture/store.h"

/* Hash the contents of an exact str or bytes, while its memory is at hand. */
void note_contents(Capture *capture, PyObject *object);

/* Fill equal_node and equal_group, after the walk: the objects are as it saw them. */
void find_equal(Capture *capture);

#endif
