/* The ``.memlens`` container (see memlens/heap/file.py), written from C. */
#ifndef MEMLENS_IO_CONTAINER_H
#define MEMLENS_IO_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#define CONTAINER_MAX_SECTIONS 64

typedef struct {
    const char *name;
    char typecode;
    const void *data;
    size_t bytes;
} ContainerSection;

/* CRC-32 as in zlib: `seed` is 0, or what the call for the bytes before has given. */
uint32_t crc32_of(uint32_t seed, const void *data, size_t bytes);

typedef struct {
    char name[32];
    char typecode[8];
    uint64_t offset;
    uint64_t bytes;
    uint32_t crc;
    uint32_t zero;
} ContainerEntry;

/* A file that is written one section at a time, so that the memory of each can be freed before the
 * next is made. The header comes last: before it is there, no reader accepts the file. */
typedef struct {
    int fd;
    size_t count, added;
    uint64_t position; /* bytes of the file so far */
    ContainerEntry table[CONTAINER_MAX_SECTIONS];
} ContainerWriter;

/* Begin a new, empty, seekable file of so many sections; add each; end. They return 0, or -1 with
 * errno set. */
int container_begin(ContainerWriter *writer, int fd, size_t count);
int container_add(ContainerWriter *writer, const ContainerSection *section);
int container_end(ContainerWriter *writer);

#endif
