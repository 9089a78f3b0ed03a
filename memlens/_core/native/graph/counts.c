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

int
match_addresses(const uint64_t *address_a, const uint64_t *key_a, uint64_t count_a,
                const uint64_t *address_b, const uint64_t *key_b, uint64_t count_b,
                uint32_t *matched)
{
    AddressTable table;
    uint32_t found;
    int result = table_init(&table);
    for (uint64_t node = 1; node < count_a && result == 0; node++) {
        result = table_find_or_add(&table, address_a[node], (uint32_t)node, &found);
        if (result == 0 && found != TABLE_NONE) {
            result = 1;
        }
    }
    matched[0] = 0;
    for (uint64_t node = 1; node < count_b && result == 0; node++) {
        found = table_find(&table, address_b[node]);
        matched[node] = found != TABLE_NONE && key_a[found] == key_b[node] ? found : TABLE_NONE;
    }
    table_free(&table);
    return result;
}

void
make_identity_keys(const uint32_t *type, const uint64_t *size, const uint64_t *type_key,
                   const uint8_t *type_is_sized, size_t node_count, uint64_t *keys)
{
    for (size_t node = 0; node < node_count; node++) {
        keys[node] = type_key[type[node]] + (type_is_sized[type[node]] ? size[node] : 0);
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
