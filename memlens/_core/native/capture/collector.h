/* The lists of the collector. */
#ifndef MEMLENS_CAPTURE_COLLECTOR_H
#define MEMLENS_CAPTURE_COLLECTOR_H

#include "capture/store.h"

/* Call `visit` with the index of each object in the lists, the oldest generation first. */
void visit_collector_lists(Capture *capture, void (*visit)(Capture *capture, uint32_t index));

#endif
