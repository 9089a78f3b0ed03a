/* Numbers as decimal text and numbers for identities: pure/texts.py, on arrays. */
#include "graph/texts.h"

static char *
write_decimal(char *end, uint64_t number)
{
    char digits[DECIMAL_BYTES];
    int count = 0;
    while (number > UINT32_MAX) {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    }
    uint32_t low = (uint32_t)number; /* divisions of 32 bits are faster */
    do {
        digits[count++] = (char)('0' + low % 10);
        low /= 10;
    } while (low != 0);
    while (count != 0) {
        *end++ = digits[--count];
    }
    *end++ = ',';
    return end;
}

static uint64_t
number_at(const Numbers *column, size_t row)
{
    switch (column->typecode) {
        case 'B': return ((const uint8_t *)column->data)[row];
        case 'I': return ((const uint32_t *)column->data)[row];
        default: return ((const uint64_t *)column->data)[row];
    }
}

int
append_rows(Buffer *text, const Numbers *columns, size_t column_count, size_t row_count)
{
    for (size_t row = 0; row < row_count; row++) {
        if (text->capacity - text->size < column_count * DECIMAL_BYTES
            && buffer_reserve(text, column_count * DECIMAL_BYTES) < 0) {
            return -1;
        }
        char *end = text->data + text->size;
        for (size_t i = 0; i < column_count; i++) {
            end = write_decimal(end, number_at(&columns[i], row));
        }
        text->size = (size_t)(end - text->data);
    }
    return 0;
}

/* The finaliser of SplitMix64: each bit of the result depends on every bit of the key. */
static uint64_t
mix(uint64_t key)
{
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    return key ^ key >> 31;
}

int
find_identity_numbers(const NodeIdentities *nodes, size_t count, uint32_t limit, uint32_t *number)
{
    Buffer taken = {NULL, 0, 0}; /* a bit for each number */
    if (buffer_zeros(&taken, (size_t)limit / 8 + 1) < 0) {
        return -1;
    }
    uint8_t *bits = (uint8_t *)taken.data;
    for (size_t node = 1; node < count; node++) {
        uint32_t type = nodes->type[node];
        uint64_t key = nodes->address[node] + nodes->type_key[type] * 0x9e3779b97f4a7c15u;
        key += nodes->is_sized[type] ? nodes->size[node] * 0xc2b2ae3d27d4eb4fu : 0;
        uint32_t found = (uint32_t)(mix(key) % (limit - 1)) + 1;
        while (bits[found / 8] & 1u << found % 8) {
            found = found + 1 == limit ? 1 : found + 1;
        }
        bits[found / 8] |= (uint8_t)(1u << found % 8);
        number[node] = found;
    }
    buffer_free(&taken);
    return 0;
}
