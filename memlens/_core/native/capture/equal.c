/* Groups of equal strings and bytes. Only group numbers are stored, never contents or hashes.
 *
 * The walk hashes each exact str and bytes while its memory is in the cache; of long contents it hashes
 * the ends and some pieces between. Afterwards long ones that agree so far are hashed in full, and only
 * those with the same hash are compared. The time is therefore bound by the number of objects, and by
 * the bytes of those that look alike. The seed is the address of this capture, so that nobody
 * can prepare strings whose hashes collide. */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/equal.h"
#include "base/text.h"

typedef struct {
    const char *data;
    size_t bytes;
    unsigned kind; /* bytes per character of a str, which equal ones share; 0 for bytes */
} Contents;

/* Returns 0 for what has no contents to compare. */
static int
read_contents(PyObject *object, Contents *contents)
{
    if (PyBytes_CheckExact(object)) {
        *contents = (Contents){PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object), 0};
        return 1;
    }
    if (!PyUnicode_CheckExact(object) || !text_is_readable(object)) {
        return 0;
    }
    contents->kind = (unsigned)PyUnicode_KIND(object);
    contents->bytes = (size_t)PyUnicode_GET_LENGTH(object) * contents->kind;
    contents->data = PyUnicode_DATA(object);
    return 1;
}

static inline uint64_t
mixed(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

enum {
    LONG_BYTES = 1 << 14, /* longer contents are hashed in part */
    END_BYTES = 1 << 12,
    PIECES = 32,
    PIECE_BYTES = 64,
};

static uint64_t
hash_bytes(uint64_t hash, const char *at, size_t left, uint64_t seed)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t word;
    for (; left >= sizeof word; left -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = mixed(hash ^ word, factor) + seed;
    }
    word = 0;
    memcpy(&word, at, left);
    return mixed(hash ^ word, factor);
}

/* `in_full`: also of long contents. */
static uint32_t
hash_contents(const Contents *contents, uint64_t seed, int in_full)
{
    const char *data = contents->data;
    size_t bytes = contents->bytes;
    uint64_t hash = seed ^ bytes ^ (uint64_t)contents->kind << 60;
    if (in_full || bytes <= LONG_BYTES) {
        hash = hash_bytes(hash, data, bytes, seed);
    }
    else {
        size_t between = bytes - 2 * END_BYTES;
        hash = hash_bytes(hash, data, END_BYTES, seed);
        for (size_t piece = 0; piece < PIECES; piece++) {
            hash = hash_bytes(hash, data + END_BYTES + between / PIECES * piece, PIECE_BYTES, seed);
        }
        hash = hash_bytes(hash, data + bytes - END_BYTES, END_BYTES, seed);
    }
    return (uint32_t)(hash ^ hash >> 32);
}

static inline uint64_t
seed_of(const Capture *capture)
{
    return (uint64_t)(uintptr_t)capture * UINT64_C(0xD6E8FEB86659FD93);
}

void
note_contents(Capture *capture, PyObject *object)
{
    Contents contents;
    uint32_t hash = 0;
    if (read_contents(object, &contents)) {
        hash = hash_contents(&contents, seed_of(capture), 0);
        if (contents.bytes > LONG_BYTES) {
            uint32_t row = (uint32_t)COUNT(capture->text_hashes, uint32_t);
            capture->failed |= push_u32(&capture->long_texts, row) < 0;
        }
    }
    capture->failed |= push_u32(&capture->text_hashes, hash) < 0;
}

typedef struct {
    uint32_t node, hash;
} Text;

static int
are_equal(const Capture *capture, const Text *a, const Text *b)
{
    Contents one, other;
    if (a->hash != b->hash || !read_contents(object_of_node(capture, a->node), &one)
        || !read_contents(object_of_node(capture, b->node), &other)) {
        return 0;
    }
    return one.kind == other.kind && one.bytes == other.bytes
           && memcmp(one.data, other.data, one.bytes) == 0;
}

/* Number of places in a table of open addressing with room for `count` entries. */
static uint64_t
table_size(uint64_t count)
{
    uint64_t size = 16;
    while (size < 2 * count) {
        size *= 2;
    }
    return size;
}

static void
hash_in_full(const Capture *capture, Text *text)
{
    Contents contents;
    if (read_contents(object_of_node(capture, text->node), &contents)) {
        text->hash = hash_contents(&contents, seed_of(capture), 1);
    }
}

/* Hash long contents in full where the hash of a part, with the length, is not the only one. */
static int
tell_long_apart(const Capture *capture, Text *texts)
{
    const uint32_t *rows = ITEMS(capture->long_texts, uint32_t);
    uint32_t count = (uint32_t)COUNT(capture->long_texts, uint32_t);
    uint64_t size = table_size(count);
    Buffer table = {NULL, 0, 0}, part = table; /* number of the first with a hash, plus 1 */
    if (buffer_zeros(&table, size * sizeof(uint32_t)) < 0
        || buffer_zeros(&part, count * sizeof(uint32_t)) < 0) {
        buffer_free(&table);
        return -1;
    }
    uint32_t *first = ITEMS(table, uint32_t), *hash = ITEMS(part, uint32_t);
    for (uint32_t i = 0; i < count; i++) {
        hash[i] = texts[rows[i]].hash;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t place = hash[i] * UINT64_C(0x9E3779B97F4A7C15) >> 16 & (size - 1);
        while (first[place] != 0 && hash[first[place] - 1] != hash[i]) {
            place = (place + 1) & (size - 1);
        }
        if (first[place] == 0) {
            first[place] = i + 1;
            continue;
        }
        Text *leader = &texts[rows[first[place] - 1]];
        if (leader->hash == hash[i]) { /* not yet hashed in full */
            hash_in_full(capture, leader);
        }
        hash_in_full(capture, &texts[rows[i]]);
    }
    buffer_free(&table);
    buffer_free(&part);
    return 0;
}

/* leader: for each text the first that equals it, itself if there is none before it. */
static int
find_leaders(const Capture *capture, const Text *texts, uint32_t count, uint32_t *leader)
{
    Buffer table = {NULL, 0, 0}; /* number of a leader, plus 1 */
    uint64_t size = table_size(count);
    if (buffer_zeros(&table, size * sizeof(uint32_t)) < 0) {
        return -1;
    }
    uint32_t *first = ITEMS(table, uint32_t);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t place = (texts[i].hash * UINT64_C(0x9E3779B97F4A7C15)) >> 16 & (size - 1);
        while (first[place] != 0 && !are_equal(capture, &texts[i], &texts[first[place] - 1])) {
            place = (place + 1) & (size - 1);
        }
        if (first[place] == 0) {
            first[place] = i + 1;
        }
        leader[i] = first[place] - 1;
    }
    buffer_free(&table);
    return 0;
}

/* group: zeros. A group gets its number, stored plus 1, with its second member. */
static int
push_groups(Capture *capture, const Text *texts, uint32_t count, const uint32_t *leader,
            uint32_t *group)
{
    uint32_t groups = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (leader[i] != i && group[leader[i]] == 0) {
            group[leader[i]] = ++groups;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = group[leader[i]];
        if (number != 0
            && (push_u32(&capture->equal_node, texts[i].node) < 0
                || push_u32(&capture->equal_group, number - 1) < 0)) {
            return -1;
        }
    }
    return 0;
}

static void
list_texts(const Capture *capture, Text *texts, uint32_t count)
{
    const uint32_t *row = ITEMS(capture->node_type, uint32_t);
    uint32_t found = 0;
    for (uint32_t node = 1; node < capture->node_count && found < count; node++) {
        if (ITEMS(capture->plans, Plan)[row[node]].is_compared) {
            texts[found] = (Text){node, ITEMS(capture->text_hashes, uint32_t)[found]};
            found++;
        }
    }
}

void
find_equal(Capture *capture)
{
    uint32_t count = (uint32_t)COUNT(capture->text_hashes, uint32_t);
    Buffer texts = {NULL, 0, 0}, leader = texts, group = texts;
    if (buffer_zeros(&texts, count * sizeof(Text)) < 0
        || buffer_zeros(&leader, count * sizeof(uint32_t)) < 0
        || buffer_zeros(&group, count * sizeof(uint32_t)) < 0) {
        capture->failed = 1;
    }
    else {
        list_texts(capture, ITEMS(texts, Text), count);
        buffer_free(&capture->text_hashes);
        capture->failed
            |= tell_long_apart(capture, ITEMS(texts, Text)) < 0
               || find_leaders(capture, ITEMS(texts, Text), count, ITEMS(leader, uint32_t)) < 0
               || push_groups(capture, ITEMS(texts, Text), count, ITEMS(leader, uint32_t),
                              ITEMS(group, uint32_t)) < 0;
    }
    buffer_free(&texts);
    buffer_free(&leader);
    buffer_free(&group);
}

#endif
