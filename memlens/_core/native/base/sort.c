/* Heapsort (Williams 1964): n log n at worst, and no memory beside the rows. */
#include "base/sort.h"

#include <string.h>

typedef struct {
    char *rows;
    size_t row_bytes;
    int (*compare)(const void *, const void *);
} Sorted;

static char *
row_at(const Sorted *sorted, size_t position)
{
    return sorted->rows + position * sorted->row_bytes;
}

static void
swap(const Sorted *sorted, size_t one, size_t other)
{
    char kept[MOST_ROW_BYTES];
    memcpy(kept, row_at(sorted, one), sorted->row_bytes);
    memcpy(row_at(sorted, one), row_at(sorted, other), sorted->row_bytes);
    memcpy(row_at(sorted, other), kept, sorted->row_bytes);
}

/* Let the row at `parent` sink until none below it is greater. */
static void
sink(const Sorted *sorted, size_t parent, size_t count)
{
    for (size_t child; (child = 2 * parent + 1) < count; parent = child) {
        if (child + 1 < count && sorted->compare(row_at(sorted, child), row_at(sorted, child + 1)) < 0) {
            child++;
        }
        if (sorted->compare(row_at(sorted, parent), row_at(sorted, child)) >= 0) {
            return;
        }
        swap(sorted, parent, child);
    }
}

void
sort_rows(void *rows, size_t count, size_t row_bytes, int (*compare)(const void *, const void *))
{
    Sorted sorted = {rows, row_bytes, compare};
    for (size_t parent = count / 2; parent > 0; parent--) {
        sink(&sorted, parent - 1, count);
    }
    for (size_t end = count; end > 1; end--) {
        swap(&sorted, 0, end - 1);
        sink(&sorted, 0, end - 1);
    }
}
