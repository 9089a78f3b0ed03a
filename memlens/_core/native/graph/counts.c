/* What is counted, keyed or matched node by node: pure/counts.py, on arrays. */
#include "graph/counts.h"

#include "base/layout.h"
#include "base/table.h"

void
add_up_types(const uint32_t *type, const uint64_t *size, const uint16_t *flags, uint64_t node_count,
             unsigned skip_flags, uint64_t *counts, uint64_t *bytes)
{
    for (uint64_t node = 1; node < node_count; node++) { /* node 0, the process, is no object */
        if (!(flags[node] & skip_flags)) {
            counts[type[node]]++;
            bytes[type[node]] += size[node];
        }
    }
}

/* The key is made when it is needed: a column of keys for each heap would take as much memory as
 * the table of addresses. */
static inline uint64_t
identity_key(const Identities *heap, uint64_t node)
{
    uint32_t type = heap->type[node];
    return heap->type_key[type] + (heap->type_is_sized[type] ? heap->size[node] : 0);
}

int
match_addresses(const Identities *a, const Identities *b, uint32_t *matched)
{
    AddressTable table;
    uint32_t found;
    int result = table_init(&table);
    for (uint64_t node = 1; node < a->count && result == 0; node++) {
        result = table_find_or_add(&table, a->address[node], (uint32_t)node, &found);
        if (result == 0 && found != TABLE_NONE) {
            result = 1;
        }
    }
    matched[0] = 0;
    for (uint64_t node = 1; node < b->count && result == 0; node++) {
        found = table_find(&table, b->address[node]);
        int is_same = found != TABLE_NONE && identity_key(a, found) == identity_key(b, node);
        matched[node] = is_same ? found : TABLE_NONE;
    }
    table_free(&table);
    return result;
}

void
mark_pairs(const uint32_t *same, size_t count_b, uint16_t *flags_a, size_t count_a,
           uint16_t *flags_b, unsigned skip_flags, unsigned mark)
{
    unsigned clear = 0xffff & ~mark, skipped = skip_flags & clear;
    for (size_t node = 0; node < count_a; node++) {
        flags_a[node] &= (uint16_t)clear;
    }
    for (size_t node = 0; node < count_b; node++) {
        uint32_t old = same[node];
        flags_b[node] &= (uint16_t)clear;
        if (old != NODE_NONE && !((flags_b[node] | flags_a[old]) & skipped)) {
            flags_b[node] |= (uint16_t)mark;
            flags_a[old] |= (uint16_t)mark;
        }
    }
}
