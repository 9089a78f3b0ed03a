/* The memory of compressors and decompressors, from the states that the libraries keep.
 *
 * The libraries do not tell their sizes, but these follow from few numbers. A state counts only if it
 * refers back to its stream and its numbers are possible: of another one nothing is said. The state of
 * zlib-ng to compress is such another one; its state to decompress begins as that of zlib does, and
 * counts as if it had the size of that. Fields are read in order, each once those before it were
 * right. liblzma hides its state (see heap/native/libraries/lzma.py). */
#include "base/compat.h"

#if MEMLENS_SUPPORTED

#include "capture/native_streams.h"
#include "base/streams.h"

static void
add_stream(Capture *capture, uint64_t bytes, const char *library)
{
    if (bytes > 0) {
        add_native(capture, capture->index, OF_OBJECT, NULL, bytes, "cpu", library);
    }
}

/* Its own bytes, the window twice, a link for each byte of the window, the heads of chains, and what is
 * pending. */
void
deflate_memory(Capture *capture, PyObject *object)
{
    const ZlibStream *stream = &((const ZlibObject *)object)->stream;
    const DeflateState *state = stream->state;
    if (state == NULL || state->stream != stream || state->method != DEFLATE_METHOD
        || state->window_bits < 8 || state->window_bits > 15
        || state->window_bytes != 1u << state->window_bits
        || state->window_mask != state->window_bytes - 1 || state->hash_bits < 8
        || state->hash_bits > 16 || state->hash_size != 1u << state->hash_bits
        || state->hash_mask != state->hash_size - 1 || state->pending_bytes > 1u << 20) {
        return;
    }
    add_stream(capture,
               DEFLATE_STATE_BYTES + (uint64_t)state->window_bytes * 4
                   + (uint64_t)state->hash_size * 2 + state->pending_bytes,
               "zlib");
}

/* Its own bytes, and the window once it was needed. */
static uint64_t
inflate_bytes(const ZlibStream *stream)
{
    const InflateState *state = stream->state;
    if (state == NULL || state->stream != stream || state->mode < INFLATE_FIRST_MODE
        || state->mode > INFLATE_LAST_MODE || state->window_bits > 15) {
        return 0;
    }
    return INFLATE_STATE_BYTES + (state->window == NULL ? 0 : UINT64_C(1) << state->window_bits);
}

void
inflate_memory(Capture *capture, PyObject *object)
{
    add_stream(capture, inflate_bytes(&((const ZlibObject *)object)->stream), "zlib");
}

/* What it was given and has not read yet is its own, too. Nothing is said of it if the state, which
 * has `state_bytes`, is not as it is known. */
static uint64_t
with_input(uint64_t state_bytes, const char *input, Py_ssize_t bytes)
{
    return state_bytes == 0 || input == NULL || bytes < 0 ? state_bytes
                                                          : state_bytes + (uint64_t)bytes;
}

void
zlib_reader_memory(Capture *capture, PyObject *object)
{
    const ZlibReader *reader = (const ZlibReader *)object;
    uint64_t state = inflate_bytes(&reader->stream);
    add_stream(capture, with_input(state, reader->input, reader->input_bytes), "zlib");
}

/* Two arrays of a number for each byte of the block, and the tables. */
void
bzip_memory(Capture *capture, PyObject *object)
{
    const BzipStream *stream = &((const BzipObject *)object)->stream;
    const BzipWriting *state = stream->state;
    if (state == NULL || state->stream != stream || state->mode < 1 || state->mode > 4
        || state->state < 1 || state->state > 2 || state->block_most < 100000 - 19
        || state->block_most > 900000 - 19 || (state->block_most + 19) % 100000 != 0) {
        return;
    }
    uint64_t block = (uint64_t)state->block_most + 19;
    add_stream(capture, BZIP_WRITING_BYTES + BZIP_TABLE_BYTES + block * 8, "bz2");
}

/* Its own bytes, and a number for each byte of the block once the size of blocks was read. */
static uint64_t
unbzip_bytes(const BzipStream *stream)
{
    const BzipReading *state = stream->state;
    if (state == NULL || state->stream != stream || state->state < 1 || state->state > 50) {
        return 0;
    }
    if (state->block == NULL) {
        return BZIP_READING_BYTES;
    }
    if (state->is_small || state->hundred_thousands < 1 || state->hundred_thousands > 9) {
        return 0;
    }
    return BZIP_READING_BYTES + (uint64_t)state->hundred_thousands * 400000;
}

void
bzip_reader_memory(Capture *capture, PyObject *object)
{
    const BzipReader *reader = (const BzipReader *)object;
    uint64_t state = unbzip_bytes(&reader->stream);
    add_stream(capture, with_input(state, reader->input, (Py_ssize_t)reader->input_bytes), "bz2");
}

#endif
