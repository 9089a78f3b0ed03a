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

static uint64_t
identity_of(const NodeIdentities *nodes, size_t node)
{
    uint32_t type = nodes->type[node];
    uint64_t key = nodes->address[node] + nodes->type_key[type] * 0x9e3779b97f4a7c15u;
    return mix(key + (nodes->is_sized[type] ? nodes->size[node] * 0xc2b2ae3d27d4eb4fu : 0));
}

/* Put a number into an open-addressing table of numbers, 0 for an empty place. Returns 0 when it was
 * there. The numbers are already mixed: their low bits choose the place. */
static int
take_number(uint32_t *table, uint32_t mask, uint32_t number)
{
    uint32_t place = number & mask;
    while (table[place] != 0) {
        if (table[place] == number) {
            return 0;
        }
        place = (place + 1) & mask;
    }
    table[place] = number;
    return 1;
}

int
find_identity_numbers(const NodeIdentities *nodes, size_t count, uint32_t limit, uint32_t *number)
{
    uint64_t places = 16;
    while (places < 2 * (uint64_t)count) {
        places *= 2;
    }
    Buffer table = {NULL, 0, 0};
    if (buffer_zeros(&table, places * sizeof(uint32_t)) < 0) {
        return -1;
    }
    for (size_t node = 1; node < count; node++) {
        uint32_t found = (uint32_t)(identity_of(nodes, node) % (limit - 1)) + 1;
        while (!take_number(ITEMS(table, uint32_t), (uint32_t)(places - 1), found)) {
            found = found + 1 == limit ? 1 : found + 1;
        }
        number[node] = found;
    }
    buffer_free(&table);
    return 0;
}
