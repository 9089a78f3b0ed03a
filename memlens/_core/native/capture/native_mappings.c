/* Blocks that are mappings, or lie in one: what is mapped there, and how much of it is resident.
 *
 * The descriptor of a mapping does not tell: without one it may be of a file all the same, and with
 * one it may be shared memory. /proc/self/maps does. Which pages are resident is in pagemap, a bit for
 * each page. It is the page table of the program that counts: a forked child has none yet for what it
 * shares with its parent. Reading either touches no page, takes no lock of the program and asks for no
 * memory. memlens/_core/mappings.py does the same. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_mappings.h"
#include "capture/native_rows.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { READ_BYTES = 4096, PATH_BEGIN_BYTES = 16, ENTRIES_AT_ONCE = 1024 };

static const uint64_t MOST_PAGES = UINT64_C(1) << 22; /* of all blocks: about 50 ms */
static const uint64_t PAGE_IS_PRESENT = UINT64_C(1) << 63, PAGE_IS_OF_FILE = UINT64_C(1) << 61;

/* ---- what is mapped -------------------------------------------------------------------------- */

typedef struct {
    int fd;
    ssize_t at, filled;
    char data[READ_BYTES];
} Reader;

typedef struct {
    uint64_t start, end;
    char path[PATH_BEGIN_BYTES]; /* its beginning */
} Line;

/* The next character, which stays; -1 at the end. */
static int
peek(Reader *reader)
{
    while (reader->at >= reader->filled) {
        reader->filled = read(reader->fd, reader->data, sizeof reader->data);
        reader->at = 0;
        if (reader->filled < 0 && errno == EINTR) {
            continue;
        }
        if (reader->filled <= 0) {
            return -1;
        }
    }
    return (unsigned char)reader->data[reader->at];
}

/* A hexadecimal number and the character after it. */
static uint64_t
read_number(Reader *reader)
{
    uint64_t number = 0;
    for (int c = peek(reader);; c = peek(reader)) {
        reader->at += c >= 0;
        if (c >= '0' && c <= '9') {
            number = number << 4 | (uint64_t)(c - '0');
        }
        else if (c >= 'a' && c <= 'f') {
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        }
        else {
            return number;
        }
    }
}

/* Skip characters that are spaces, or that are none, within the line. */
static void
skip(Reader *reader, int spaces)
{
    for (int c = peek(reader); c >= 0 && c != '\n' && (c == ' ') == spaces; c = peek(reader)) {
        reader->at++;
    }
}

/* `start-end permissions offset device inode   path`. Returns 0 at the end. */
static int
read_line(Reader *reader, Line *line)
{
    if (peek(reader) < 0) {
        return 0;
    }
    line->start = read_number(reader);
    line->end = read_number(reader);
    for (int field = 0; field < 4; field++) {
        skip(reader, 0);
        skip(reader, 1);
    }
    size_t length = 0;
    memset(line->path, 0, sizeof line->path);
    for (int c = peek(reader); c >= 0 && c != '\n'; c = peek(reader)) {
        if (length < sizeof line->path - 1) {
            line->path[length++] = (char)c;
        }
        reader->at++;
    }
    reader->at += peek(reader) == '\n';
    return 1;
}

static int
begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Memory without a file may have a path: of shared memory, or of an anonymous mapping. */
static const char *
device_of(const Line *line)
{
    const char *path = line->path;
    if (begins_with(path, "/dev/shm/") || begins_with(path, "/memfd:") || begins_with(path, "/SYSV")) {
        return "shared";
    }
    return path[0] != '/' || begins_with(path, "/dev/zero") || begins_with(path, "/anon_huge")
               ? "cpu"
               : "mapped";
}

static void
find_devices(Capture *capture, Block *block, size_t count)
{
    Reader reader = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
    Line line;
    uint32_t cpu = native_string(capture, "cpu");
    size_t at = 0;
    while (reader.fd >= 0 && at < count && read_line(&reader, &line)) {
        for (; at < count && block[at].start < line.end; at++) {
            int is_open = block[at].is_mapping || block[at].device == cpu;
            if (is_open && block[at].start >= line.start) {
                block[at].device = native_string(capture, device_of(&line));
            }
        }
    }
    if (reader.fd >= 0) {
        close(reader.fd);
    }
}

/* ---- what is resident ------------------------------------------------------------------------ */

/* The page table of the program: this process, or the one that forked it. -1: it cannot be read. */
static int
open_pagemap(const Capture *capture)
{
    pid_t self = getpid(), program = capture->facts.process;
    if (program == self) {
        return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    }
    char path[40], here[16] = "";
    if (readlink("/proc/self", here, sizeof here - 1) < 0 || strtol(here, NULL, 10) != self) {
        return -1; /* /proc has the numbers of other processes */
    }
    snprintf(path, sizeof path, "/proc/%ld/pagemap", (long)program);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && getppid() != program) {
        close(fd); /* it has gone, and the number may be another process's by now */
        return -1;
    }
    return fd;
}

/* How many entries were read, all that are asked for or 0. */
static uint64_t
read_entries(int fd, uint64_t *entries, uint64_t first, uint64_t count)
{
    char *at = (char *)entries;
    size_t left = (size_t)count * sizeof *entries;
    off_t offset = (off_t)(first * sizeof *entries);
    while (left > 0) {
        ssize_t done = pread(fd, at, left, offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return 0;
        }
        at += done;
        offset += done;
        left -= (size_t)done;
    }
    return count;
}

/* The resident bytes of a range, RESIDENT_UNKNOWN if they cannot be read; and those of no file. A
 * private mapping of a file has such pages where it was written, and the system cannot drop them. */
static uint64_t
resident_bytes(int fd, uint64_t start, uint64_t end, uint64_t page_bytes, uint64_t *of_no_file)
{
    uint64_t entries[ENTRIES_AT_ONCE], found = 0;
    uint64_t page = start / page_bytes, last = (end - 1) / page_bytes;
    while (page <= last) {
        uint64_t left = last - page + 1;
        uint64_t count = read_entries(fd, entries, page,
                                      left < ENTRIES_AT_ONCE ? left : ENTRIES_AT_ONCE);
        if (count == 0) {
            return RESIDENT_UNKNOWN;
        }
        for (uint64_t i = 0; i < count; i++, page++) {
            if (entries[i] & PAGE_IS_PRESENT) {
                uint64_t from = page * page_bytes, to = from + page_bytes;
                uint64_t bytes = (to < end ? to : end) - (from > start ? from : start);
                found += bytes;
                *of_no_file += entries[i] & PAGE_IS_OF_FILE ? 0 : bytes;
            }
        }
    }
    return found;
}

static void
find_resident(Capture *capture, Block *block, size_t count)
{
    uint32_t mapped = native_string(capture, "mapped"), shared = native_string(capture, "shared");
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), left = MOST_PAGES;
    int fd = -1, is_tried = 0;
    for (size_t i = 0; i < count; i++) {
        int is_mapping = block[i].is_mapping || block[i].device == mapped
                         || block[i].device == shared;
        uint64_t pages = (block[i].end - block[i].start) / page_bytes + 2;
        if (!is_mapping || block[i].start == 0 || pages > left) {
            continue;
        }
        fd = is_tried ? fd : open_pagemap(capture);
        is_tried = 1;
        if (fd < 0) {
            return;
        }
        left -= pages;
        uint64_t of_no_file = 0;
        block[i].resident
            = resident_bytes(fd, block[i].start, block[i].end, page_bytes, &of_no_file);
        if (block[i].resident != RESIDENT_UNKNOWN && block[i].device == mapped
            && of_no_file > (block[i].end - block[i].start) / 2) {
            block[i].device = native_string(capture, "cpu"); /* it was written, in private */
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

void
measure_mappings(Capture *capture, Buffer *blocks)
{
    Block *block = ITEMS(*blocks, Block);
    size_t count = 0;
    while (count < COUNT(*blocks, Block) && block[count].is_host) {
        count++;
    }
    if (count > 0 && block[count - 1].start != 0) {
        find_devices(capture, block, count);
    }
    find_resident(capture, block, count);
}

#else

void
measure_mappings(Capture *capture, Buffer *blocks)
{
    (void)capture;
    (void)blocks;
}

#endif
#endif
