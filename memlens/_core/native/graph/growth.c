/* See pure/growth.py and pure/place_rows.py, which this follows. */
#include "graph/growth.h"

void
find_births(const uint32_t *const *same, size_t step_count, size_t count, uint16_t *birth)
{
    for (size_t node = 0; node < count; node++) {
        size_t step = step_count;
        for (uint32_t at = (uint32_t)node; step > 0 && same[step - 1][at] != NODE_NONE; step--) {
            at = same[step - 1][at];
        }
        birth[node] = (uint16_t)step;
    }
}

void
mark_born(const uint16_t *birth, const uint16_t *flags, size_t count, uint32_t since,
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

/* The same, searched upwards from a place near by: rows of nodes ascend, too. */
static size_t
place_after(const uint32_t *numbers, size_t count, uint32_t wanted, size_t near)
{
    if (near >= count || numbers[near] > wanted) {
        return place_of(numbers, near < count ? near : count, wanted);
    }
    size_t low = near, step = 1;
    while (step < count - low && numbers[low + step] < wanted) {
        low += step;
        step *= 2;
    }
    size_t high = step < count - low ? low + step : count;
    return low + place_of(numbers + low, high - low, wanted);
}

/* `near`: the place of the last lookup in the column of containers. */
static inline uint64_t
length_of(const LengthColumns *columns, uint32_t node, size_t *near)
{
    size_t place = place_after(columns->container, columns->container_count, node, *near);
    *near = place;
    if (place < columns->container_count && columns->container[place] == node) {
        return columns->container_length[place];
    }
    uint64_t length = 0;
    for (uint64_t edge = columns->offset[node]; edge < columns->offset[node + 1]; edge++) {
        length += !label_is_weak(columns->label[edge]);
    }
    return length;
}

void
find_chosen_lengths(const LengthColumns *columns, const uint32_t *node, size_t count,
                    uint64_t *length)
{
    size_t near = 0;
    for (size_t i = 0; i < count; i++) {
        length[i] = length_of(columns, node[i], &near);
    }
}

static inline uint64_t
limited(uint64_t length)
{
    return length < UINT32_MAX ? length : UINT32_MAX;
}

void
add_up_lengths(const LengthColumns *columns, const uint64_t *row_offset, size_t row_count,
               const uint32_t *node, uint64_t *sum)
{
    size_t near = 0;
    for (size_t row = 0; row < row_count; row++) {
        sum[row] = 0;
        for (uint64_t i = row_offset[row]; i < row_offset[row + 1]; i++) {
            sum[row] += limited(length_of(columns, node[i], &near));
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
add_up_gains(const LengthColumns *before, const LengthColumns *after, const uint32_t *same,
             const uint64_t *row_offset, size_t row_count, const uint32_t *node, uint64_t *gain)
{
    size_t near_before = 0, near_after = 0;
    for (size_t row = 0; row < row_count; row++) {
        gain[row] = 0;
        for (uint64_t i = row_offset[row]; i < row_offset[row + 1]; i++) {
            uint32_t was = same[node[i]];
            if (was == NODE_NONE) {
                continue;
            }
            uint64_t length = limited(length_of(after, node[i], &near_after));
            uint64_t length_before = limited(length_of(before, was, &near_before));
            gain[row] += length > length_before ? length - length_before : 0;
        }
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
