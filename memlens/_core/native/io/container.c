#include "io/container.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- CRC-32, the polynomial of zlib, eight bytes a step -------------------------------------- */

static uint32_t crc_table[8][256];
static int crc_is_ready;

static void
fill_crc_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
        }
        crc_table[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int step = 1; step < 8; step++) {
            uint32_t crc = crc_table[step - 1][byte];
            crc_table[step][byte] = crc >> 8 ^ crc_table[0][crc & 0xff];
        }
    }
    crc_is_ready = 1;
}

uint32_t
crc32_of(uint32_t seed, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint32_t crc = ~seed;
    if (!crc_is_ready) {
        fill_crc_table(); /* always the same bytes, so a race does no harm */
    }
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= crc; /* little-endian machines only, like the layout itself */
        crc = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff]
              ^ crc_table[5][low >> 16 & 0xff] ^ crc_table[4][low >> 24]
              ^ crc_table[3][high & 0xff] ^ crc_table[2][high >> 8 & 0xff]
              ^ crc_table[1][high >> 16 & 0xff] ^ crc_table[0][high >> 24];
    }
    for (; bytes > 0; bytes--, at++) {
        crc = crc >> 8 ^ crc_table[0][(crc ^ *at) & 0xff];
    }
    return ~crc;
}

/* ---- the container --------------------------------------------------------------------------- */

enum { ALIGNMENT = 64, FORMAT_VERSION = 1 };

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t section_count;
    uint64_t file_bytes;
    uint32_t table_crc;
    uint32_t header_crc; /* of all before */
    char zeros[32];
} Header;

typedef struct {
    char name[32];
    char typecode[8];
    uint64_t offset;
    uint64_t bytes;
    uint32_t crc;
    uint32_t zero;
} Entry;

_Static_assert(sizeof(Header) == ALIGNMENT && offsetof(Header, header_crc) == 28, "header");
_Static_assert(sizeof(Entry) == ALIGNMENT && offsetof(Entry, crc) == 56, "section table");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the container is little-endian");

static int
write_all(int fd, const void *data, size_t bytes, uint64_t *written)
{
    const char *at = data;
    while (bytes > 0) {
        ssize_t done = write(fd, at, bytes > ((size_t)1 << 26) ? (size_t)1 << 26 : bytes);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            errno = done == 0 ? ENOSPC : errno;
            return -1;
        }
        at += done;
        bytes -= (size_t)done;
        *written += (uint64_t)done;
    }
    return 0;
}

int
container_write(int fd, const ContainerSection *sections, size_t count, uint64_t *written)
{
    static const char zeros[ALIGNMENT];
    Entry table[CONTAINER_MAX_SECTIONS];
    Header header;
    if (count == 0 || count > CONTAINER_MAX_SECTIONS) {
        errno = EINVAL;
        return -1;
    }
    memset(table, 0, sizeof table);
    memset(&header, 0, sizeof header);
    uint64_t position = ALIGNMENT * (1 + count);
    for (size_t i = 0; i < count; i++) {
        Entry *entry = &table[i];
        position = (position + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
        strncpy(entry->name, sections[i].name, sizeof entry->name - 1);
        entry->typecode[0] = sections[i].typecode;
        entry->offset = position;
        entry->bytes = sections[i].bytes;
        entry->crc = crc32_of(0, sections[i].data, sections[i].bytes);
        position += sections[i].bytes;
    }
    memcpy(header.magic, "MEMLENS", 8);
    header.version = FORMAT_VERSION;
    header.section_count = (uint32_t)count;
    header.file_bytes = position;
    header.table_crc = crc32_of(0, table, count * sizeof *table);
    header.header_crc = crc32_of(0, &header, offsetof(Header, header_crc));
    if (write_all(fd, &header, sizeof header, written) < 0
        || write_all(fd, table, count * sizeof *table, written) < 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (write_all(fd, zeros, (size_t)(table[i].offset - *written), written) < 0
            || write_all(fd, sections[i].data, sections[i].bytes, written) < 0) {
            return -1;
        }
    }
    return 0;
}
