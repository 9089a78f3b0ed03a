#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* pwrite */
#endif
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

_Static_assert(sizeof(Header) == ALIGNMENT && offsetof(Header, header_crc) == 28, "header");
_Static_assert(sizeof(ContainerEntry) == ALIGNMENT && offsetof(ContainerEntry, crc) == 56, "section table");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the container is little-endian");

/* Write at a position of the file and return -1, with errno set, unless all is written. */
static int
write_at(int fd, const void *data, size_t bytes, uint64_t position)
{
    const char *at = data;
    while (bytes > 0) {
        size_t part = bytes > ((size_t)1 << 26) ? (size_t)1 << 26 : bytes;
        ssize_t done = pwrite(fd, at, part, (off_t)position);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            errno = done == 0 ? ENOSPC : errno;
            return -1;
        }
        at += done;
        bytes -= (size_t)done;
        position += (uint64_t)done;
    }
    return 0;
}

int
container_begin(ContainerWriter *writer, int fd, size_t count)
{
    if (count == 0 || count > CONTAINER_MAX_SECTIONS) {
        errno = EINVAL;
        return -1;
    }
    memset(writer, 0, sizeof *writer);
    writer->fd = fd;
    writer->count = count;
    writer->position = ALIGNMENT * (1 + count);
    return 0;
}

int
container_add(ContainerWriter *writer, const ContainerSection *section)
{
    static const char zeros[ALIGNMENT];
    size_t gap = (size_t)(-writer->position & (ALIGNMENT - 1));
    if (writer->added == writer->count) {
        errno = EINVAL;
        return -1;
    }
    if (write_at(writer->fd, zeros, gap, writer->position) < 0
        || write_at(writer->fd, section->data, section->bytes, writer->position + gap) < 0) {
        return -1;
    }
    ContainerEntry *entry = &writer->table[writer->added++];
    strncpy(entry->name, section->name, sizeof entry->name - 1);
    entry->typecode[0] = section->typecode;
    entry->offset = writer->position + gap;
    entry->bytes = section->bytes;
    entry->crc = crc32_of(0, section->data, section->bytes);
    writer->position = entry->offset + entry->bytes;
    return 0;
}

int
container_end(ContainerWriter *writer)
{
    size_t table_bytes = writer->count * sizeof writer->table[0];
    Header header;
    if (writer->added != writer->count) {
        errno = EINVAL;
        return -1;
    }
    memset(&header, 0, sizeof header);
    memcpy(header.magic, "MEMLENS", 8);
    header.version = FORMAT_VERSION;
    header.section_count = (uint32_t)writer->count;
    header.file_bytes = writer->position;
    header.table_crc = crc32_of(0, writer->table, table_bytes);
    header.header_crc = crc32_of(0, &header, offsetof(Header, header_crc));
    return write_at(writer->fd, writer->table, table_bytes, sizeof header) < 0
                   || write_at(writer->fd, &header, sizeof header, 0) < 0
               ? -1
               : 0;
}
