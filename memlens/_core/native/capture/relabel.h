/* Labels that are known only after the edges are there. */
#ifndef MEMLENS_CAPTURE_RELABEL_H
#define MEMLENS_CAPTURE_RELABEL_H

#include "capture/store.h"

/* Put right the names of the cells of closures, of names that code uses, and of the entries of
 * dicts that the walk reached before their owner. */
void put_names_right(Capture *capture);

#endif
