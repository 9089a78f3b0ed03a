/* Sorting in place: no memory is asked for, so a forked child may use it. */
#ifndef MEMLENS_BASE_SORT_H
#define MEMLENS_BASE_SORT_H

#include <stddef.h>

enum { MOST_ROW_BYTES = 64 }; /* of a row that can be sorted */

/* Sort rows, least first, as qsort() does. */
void sort_rows(void *rows, size_t count, size_t row_bytes,
               int (*compare)(const void *, const void *));

#endif
