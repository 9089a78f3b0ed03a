/* See group_nodes in pure/rows.py. The keys are counted in a table, the different ones are sorted,
 * and a second pass writes the nodes in their places: a sort of the nodes takes much more memory. */
#include "graph/key_rows.h"

enum { FIRST_SLOTS = 1024 };

void
key_rows_free(KeyRows *rows)
{
    buffer_free(&rows->slots);
    buffer_free(&rows->keys);
    buffer_free(&rows->ends);
}

static inline int
is_grouped(const KeyedNodes *nodes, size_t node)
{
    return nodes->mark[node] && !(nodes->flags[node] & nodes->skip_flags);
}

/* The place of a key, or the empty one where it belongs. */
static uint32_t *
slot_of(const KeyRows *rows, uint64_t key)
{
    uint32_t *slots = ITEMS(rows->slots, uint32_t);
    const uint64_t *keys = ITEMS(rows->keys, uint64_t);
    uint64_t mask = COUNT(rows->slots, uint32_t) - 1, mixed = key * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t place = (mixed ^ mixed >> 32) & mask;
    while (slots[place] != 0 && keys[slots[place] - 1] != key) {
        place = (place + 1) & mask;
    }
    return slots + place;
}

static int
grow(KeyRows *rows)
{
    size_t bytes = rows->slots.size == 0 ? FIRST_SLOTS * sizeof(uint32_t) : 2 * rows->slots.size;
    if (buffer_zeros(&rows->slots, bytes) < 0) {
        return -1;
    }
    for (size_t row = 0; row < COUNT(rows->keys, uint64_t); row++) {
        *slot_of(rows, ITEMS(rows->keys, uint64_t)[row]) = (uint32_t)row + 1;
    }
    return 0;
}

static int
add_row(KeyRows *rows, uint64_t key)
{
    size_t count = COUNT(rows->keys, uint64_t);
    if (2 * (count + 1) > COUNT(rows->slots, uint32_t) && grow(rows) < 0) {
        return -1;
    }
    if (push_u64(&rows->keys, key) < 0 || push_u64(&rows->ends, 0) < 0) {
        return -1;
    }
    *slot_of(rows, key) = (uint32_t)count + 1;
    rows->last = (uint32_t)count;
    return 0;
}

/* Whether the key has a row, which is then in `last`. */
static inline int
find_row(KeyRows *rows, uint64_t key)
{
    if (rows->keys.size == 0) {
        return 0;
    }
    if (ITEMS(rows->keys, uint64_t)[rows->last] != key) {
        uint32_t row = *slot_of(rows, key);
        if (row == 0) {
            return 0;
        }
        rows->last = row - 1;
    }
    return 1;
}

int
key_rows_count(KeyRows *rows, const KeyedNodes *nodes, size_t *total)
{
    *total = 0;
    for (size_t node = 0; node < nodes->node_count; node++) {
        if (!is_grouped(nodes, node)) {
            continue;
        }
        if (!find_row(rows, nodes->key[node]) && add_row(rows, nodes->key[node]) < 0) {
            return -1;
        }
        ITEMS(rows->ends, uint64_t)[rows->last]++;
        ++*total;
    }
    return 0;
}

/* Sort rows by key, a byte at a time, the lowest first; passes in which all bytes agree are left
 * out. Returns the sorted rows, which are one of the two columns. */
static uint32_t *
rows_by_key(const uint64_t *key, uint32_t *from, uint32_t *to, size_t count)
{
    for (int shift = 0; shift < 64; shift += 8) {
        size_t place[257] = {0};
        for (size_t i = 0; i < count; i++) {
            place[(key[from[i]] >> shift & 255) + 1]++;
        }
        if (count == 0 || place[(key[from[0]] >> shift & 255) + 1] == count) {
            continue;
        }
        for (int byte = 0; byte < 256; byte++) {
            place[byte + 1] += place[byte];
        }
        for (size_t i = 0; i < count; i++) {
            to[place[key[from[i]] >> shift & 255]++] = from[i];
        }
        uint32_t *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

int
key_rows_order(KeyRows *rows, uint64_t *key, uint64_t *offset)
{
    size_t count = COUNT(rows->keys, uint64_t);
    const uint64_t *keys = ITEMS(rows->keys, uint64_t);
    uint64_t *ends = ITEMS(rows->ends, uint64_t), end = 0;
    Buffer order = {NULL, 0, 0};
    if (buffer_zeros(&order, 2 * count * sizeof(uint32_t)) < 0) {
        return -1;
    }
    uint32_t *sorted = ITEMS(order, uint32_t);
    for (size_t row = 0; row < count; row++) {
        sorted[row] = (uint32_t)row;
    }
    sorted = rows_by_key(keys, sorted, sorted + count, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t size = ends[sorted[i]];
        key[i] = keys[sorted[i]];
        offset[i] = ends[sorted[i]] = end;
        end += size;
    }
    offset[count] = end;
    buffer_free(&order);
    return 0;
}

void
key_rows_fill(KeyRows *rows, const KeyedNodes *nodes, uint32_t *found)
{
    for (size_t node = 0; node < nodes->node_count; node++) {
        if (is_grouped(nodes, node) && find_row(rows, nodes->key[node])) {
            found[ITEMS(rows->ends, uint64_t)[rows->last]++] = (uint32_t)node;
        }
    }
}

int
key_rows_number(KeyRows *rows, const uint64_t *key, size_t count, uint32_t *number)
{
    for (size_t node = 0; node < count; node++) {
        if (!find_row(rows, key[node]) && add_row(rows, key[node]) < 0) {
            return -1;
        }
        number[node] = rows->last;
    }
    return 0;
}
