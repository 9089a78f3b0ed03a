/* Making the forked child a process of its own. */
#ifndef MEMLENS_CAPTURE_SEPARATION_H
#define MEMLENS_CAPTURE_SEPARATION_H

#include "base/compat.h"

/* Give signals their default effect: Python's handlers would write into the parent's event loop,
 * through a descriptor that both share. */
void forget_signal_handlers(void);

/* Close all descriptors but these: the parent's sockets and pipes must end when the parent closes
 * them. */
void close_other_files(int first, int second, int third);

/* Become the first process to be killed when memory runs out, and write no core file. */
void stand_back(void);

#endif
