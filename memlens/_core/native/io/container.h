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

/* Write all sections to a new, empty file. Returns 0, or -1 with errno set. `written` counts. */
int container_write(int fd, const ContainerSection *sections, size_t count, uint64_t *written);

#endif
