/* See pure/growth.py and pure/place_rows.py, which this follows. */
#include "graph/growth.h"

void
find_births(const uint32_t *same, const uint32_t *before, size_t count, uint32_t step,
            uint32_t *birth)
{
    for (size_t node = 0; node < count; node++) {
        birth[node] = same[node] == NODE_NONE ? step : before[same[node]];
    }
}

void
mark_born(const uint32_t *birth, const uint16_t *flags, size_t count, uint32_t since,
          unsigned skip_flags, uint8_t *mark)
{
    for (size_t node = 0; node < count; node++) {
        mark[node] = birth[node] > since && !(flags[node] & skip_flags);
    }
}

/* Append a node once: `seen` has a byte for each. */
static int
meet(uint32_t node, const uint8_t *mark, uint8_t *seen, Buffer *found, Buffer *stack)
{
    if (!mark[node] || seen[node]) {
        return 0;
    }
    seen[node] = 1;
    return push_u32(found, node) < 0 || push_u32(stack, node) < 0 ? -1 : 0;
}

static int
follow(const Graph *graph, const uint8_t *mark, uint8_t *seen, Buffer *found, Buffer *stack)
{
    while (stack->size != 0) {
        stack->size -= sizeof(uint32_t);
        uint32_t node = ITEMS(*stack, uint32_t)[stack->size / sizeof(uint32_t)];
        for (uint64_t edge = graph->offset[node]; edge < graph->offset[node + 1]; edge++) {
            if (!edge_is_weak(graph, edge)
                && meet(graph->target[edge], mark, seen, found, stack) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

int
reach_marked(const Graph *graph, const uint8_t *mark, const uint32_t *entry, size_t entry_count,
             Buffer *found)
{
    Buffer seen = {NULL, 0, 0}, stack = {NULL, 0, 0};
    int failed = buffer_zeros(&seen, graph->node_count) < 0;
    for (size_t i = 0; i < entry_count && !failed; i++) {
        failed = meet(entry[i], mark, (uint8_t *)seen.data, found, &stack) < 0;
    }
    failed = failed || follow(graph, mark, (uint8_t *)seen.data, found, &stack) < 0;
    buffer_free(&seen);
    buffer_free(&stack);
    return failed ? -1 : 0;
}

void
share_sizes(const uint64_t *size, const uint64_t *offset, size_t row_count, const uint32_t *node,
            uint32_t *count, uint64_t *share)
{
    for (uint64_t i = 0; i < offset[row_count]; i++) {
        count[node[i]]++;
    }
    for (size_t row = 0; row < row_count; row++) {
        share[row] = 0;
        for (uint64_t i = offset[row]; i < offset[row + 1]; i++) {
            share[row] += size[node[i]] / count[node[i]];
        }
    }
}

void
find_lengths(const uint64_t *offset, const uint32_t *label, size_t node_count,
             const uint32_t *container, const uint64_t *container_length, size_t container_count,
             uint32_t *length)
{
    size_t next = 0;
    for (size_t node = 0; node < node_count; node++) {
        while (next < container_count && container[next] < node) {
            next++;
        }
        uint64_t count = 0;
        if (next < container_count && container[next] == node) {
            count = container_length[next];
        }
        else {
            for (uint64_t edge = offset[node]; edge < offset[node + 1]; edge++) {
                count += !label_is_weak(label[edge]);
            }
        }
        length[node] = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    }
}

/* The first place in an ascending column whose number is not below the wanted one. */
static size_t
place_of(const uint32_t *numbers, size_t count, uint32_t wanted)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (numbers[middle] < wanted) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

void
find_chosen_lengths(const uint64_t *offset, const uint32_t *label, const uint32_t *container,
                    const uint64_t *container_length, size_t container_count,
                    const uint32_t *node, size_t count, uint64_t *length)
{
    for (size_t i = 0; i < count; i++) {
        size_t place = place_of(container, container_count, node[i]);
        if (place < container_count && container[place] == node[i]) {
            length[i] = container_length[place];
            continue;
        }
        length[i] = 0;
        for (uint64_t edge = offset[node[i]]; edge < offset[node[i] + 1]; edge++) {
            length[i] += !label_is_weak(label[edge]);
        }
    }
}

int
list_unlisted(const uint32_t *node, size_t count, const uint32_t *same, const uint32_t *listed,
              size_t listed_count, Buffer *found)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t was = same[node[i]];
        if (was == NODE_NONE) {
            continue;
        }
        size_t place = place_of(listed, listed_count, was);
        if ((place == listed_count || listed[place] != was) && push_u32(found, node[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

void
add_up_gains(const uint64_t *offset, size_t row_count, const uint32_t *node, const uint32_t *same,
             const uint32_t *length_a, const uint32_t *length_b, uint64_t *gain)
{
    for (size_t row = 0; row < row_count; row++) {
        gain[row] = 0;
        for (uint64_t i = offset[row]; i < offset[row + 1]; i++) {
            uint32_t was = same[node[i]];
            if (was != NODE_NONE && length_b[node[i]] > length_a[was]) {
                gain[row] += length_b[node[i]] - length_a[was];
            }
        }
    }
}

/* A byte at a time, the lowest first; passes in which all bytes agree are left out. */
void
sort_by_key(const uint64_t *key, uint32_t *order, uint64_t *rank, uint32_t *other,
            uint64_t *other_rank, size_t count)
{
    uint32_t *from = order, *to = other;
    uint64_t *from_rank = rank, *to_rank = other_rank;
    for (size_t i = 0; i < count; i++) {
        rank[i] = key[order[i]];
    }
    for (int shift = 0; shift < 64; shift += 8) {
        size_t place[257] = {0};
        for (size_t i = 0; i < count; i++) {
            place[(from_rank[i] >> shift & 255) + 1]++;
        }
        if (count == 0 || place[(from_rank[0] >> shift & 255) + 1] == count) {
            continue;
        }
        for (int byte = 0; byte < 256; byte++) {
            place[byte + 1] += place[byte];
        }
        for (size_t i = 0; i < count; i++) {
            size_t at = place[from_rank[i] >> shift & 255]++;
            to[at] = from[i];
            to_rank[at] = from_rank[i];
        }
        uint32_t *nodes = from;
        uint64_t *ranks = from_rank;
        from = to, from_rank = to_rank;
        to = nodes, to_rank = ranks;
    }
    if (from != order) {
        memcpy(order, from, count * sizeof(uint32_t));
        memcpy(rank, from_rank, count * sizeof(uint64_t));
    }
}

static uint32_t
checksum(const uint32_t *table, const uint8_t *bytes, uint64_t start, uint64_t end, uint32_t seed)
{
    uint32_t value = ~seed;
    for (uint64_t i = start; i < end; i++) {
        value = table[(value ^ bytes[i]) & 255] ^ value >> 8;
    }
    return ~value;
}

void
find_text_keys(const uint64_t *offset, const uint8_t *bytes, size_t count, uint64_t *key)
{
    uint32_t table[256]; /* of CRC-32, as zlib has it */
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) {
            value = value >> 1 ^ (value & 1 ? UINT32_C(0xEDB88320) : 0);
        }
        table[byte] = value;
    }
    for (size_t text = 0; text < count; text++) {
        uint64_t start = offset[text], end = offset[text + 1];
        uint64_t first = checksum(table, bytes, start, end, 0);
        key[text] = first << 32 | checksum(table, bytes, start, end, 0x5EED);
    }
}
