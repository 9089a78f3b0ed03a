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
    uint64_t next = 1; /* the node after the last one found: most objects are where they were */
    for (uint64_t node = 1; node < b->count && result == 0; node++) {
        if (next < a->count && a->address[next] == b->address[node]) {
            found = (uint32_t)next;
        }
        else {
            found = table_find(&table, b->address[node]);
        }
        next = found != TABLE_NONE ? (uint64_t)found + 1 : next;
        int is_same = found != TABLE_NONE && identity_key(a, found) == identity_key(b, node);
        matched[node] = is_same ? found : TABLE_NONE;
    }
    table_free(&table);
    return result;
}

size_t
find_match_runs(const uint32_t *same, size_t count, uint64_t *runs)
{
    size_t found = 0;
    for (size_t node = 0; node < count; node++) {
        uint32_t was = same[node];
        if (node != 0
            && (was == NODE_NONE ? same[node - 1] == NODE_NONE
                                 : was != 0 && same[node - 1] == was - 1)) {
            continue;
        }
        if (runs != NULL) {
            runs[found] = (uint64_t)node << 32 | was;
        }
        found++;
    }
    return found;
}

void
expand_match_runs(const uint64_t *runs, size_t run_count, size_t count, uint32_t *same)
{
    for (size_t run = 0; run < run_count; run++) {
        size_t node = runs[run] >> 32, end = run + 1 < run_count ? runs[run + 1] >> 32 : count;
        uint32_t was = (uint32_t)runs[run], step = was != NODE_NONE;
        for (; node < end; node++, was += step) {
            same[node] = was;
        }
    }
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
