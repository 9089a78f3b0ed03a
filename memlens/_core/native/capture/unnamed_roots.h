/* Roots without a name: what reference counts say beyond all edges. */
#ifndef MEMLENS_CAPTURE_UNNAMED_ROOTS_H
#define MEMLENS_CAPTURE_UNNAMED_ROOTS_H

#include "capture/store.h"

/* Find them, and put the roots in order: the best names first. */
void find_unnamed_roots(Capture *capture);

#endif
