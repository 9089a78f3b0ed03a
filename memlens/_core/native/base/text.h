/* Read str objects without changing them: no cache is filled and no reference is counted. */
#ifndef MEMLENS_BASE_TEXT_H
#define MEMLENS_BASE_TEXT_H

#include "base/compat.h"

#include "base/buffer.h"

/* Append the UTF-8 of a str object to a buffer. Returns -1 when there is no memory. */
int append_utf8(Buffer *bytes, PyObject *text);

/* Whether this is a str whose characters are there (up to 3.11 some are made when first needed). */
int text_is_readable(PyObject *text);

/* Whether a str object begins with this ASCII text, or is it. */
int text_starts_with(PyObject *text, const char *ascii);
int text_equals(PyObject *text, const char *ascii);

/* Whether a str object begins with the characters of another, whatever width either stores them in. */
int text_begins_with(PyObject *text, PyObject *start);

#endif
