/* Roots without a name: objects with more references than all edges explain. */
#ifndef MEMLENS_CAPTURE_UNNAMED_ROOTS_H
#define MEMLENS_CAPTURE_UNNAMED_ROOTS_H

#include "capture/store.h"

/* Find them, and put the roots in order: the best names first. */
void find_unnamed_roots(Capture *capture);

#endif
