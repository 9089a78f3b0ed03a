/* Roots that have a name: modules, running frames, and what the interpreter holds. */
#ifndef MEMLENS_CAPTURE_NAMED_ROOTS_H
#define MEMLENS_CAPTURE_NAMED_ROOTS_H

#include "capture/store.h"

void find_named_roots(Capture *capture);

#endif
