#include "counts.h"

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
