/* The nodes with the highest values: a heap of those kept, with the one that goes first on top. */
#include "graph/ranking.h"

static inline int
ranks_before(const uint64_t *value, uint32_t a, uint32_t b)
{
    return value[a] > value[b] || (value[a] == value[b] && a < b);
}

static void
sift_down(const uint64_t *value, uint32_t *heap, size_t count, size_t at)
{
    uint32_t node = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && ranks_before(value, heap[child], heap[child + 1])) {
            child++;
        }
        if (!ranks_before(value, node, heap[child])) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = node;
}

size_t
rank_largest(const uint64_t *value, const uint16_t *flags, size_t node_count, unsigned skip_flags,
             uint32_t *largest, size_t most)
{
    size_t kept = 0;
    for (size_t node = 1; node < node_count && most > 0; node++) {
        if (flags[node] & skip_flags) {
            continue;
        }
        if (kept < most) {
            largest[kept++] = (uint32_t)node;
            for (size_t at = kept / 2; kept == most && at-- > 0;) {
                sift_down(value, largest, kept, at);
            }
        }
        else if (value[node] > value[largest[0]]) { /* of equal ones the lower node is there */
            largest[0] = (uint32_t)node;
            sift_down(value, largest, kept, 0);
        }
    }
    for (size_t at = kept / 2; kept < most && at-- > 0;) {
        sift_down(value, largest, kept, at);
    }
    for (size_t end = kept; end-- > 1;) {
        uint32_t last = largest[0];
        largest[0] = largest[end];
        largest[end] = last;
        sift_down(value, largest, end, 0);
    }
    return kept;
}
