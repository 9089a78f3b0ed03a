/* The UTF-8 encoder of the core. No Python, so that every part of the core can use it. */
#ifndef MEMLENS_BASE_UTF8_H
#define MEMLENS_BASE_UTF8_H

#include <stdint.h>

#define UTF8_MAX_BYTES 4

/* Write one code point, up to UTF8_MAX_BYTES bytes, and return the end of what was written.
 * Surrogates are encoded like any other code point, as Python's "surrogatepass" does. */
static inline char *
put_utf8(char *out, uint32_t ch)
{
    if (ch < 0x80) {
        *out++ = (char)ch;
        return out;
    }
    if (ch < 0x800) {
        *out++ = (char)(0xc0 | (ch >> 6));
    }
    else {
        if (ch < 0x10000) {
            *out++ = (char)(0xe0 | (ch >> 12));
        }
        else {
            *out++ = (char)(0xf0 | (ch >> 18));
            *out++ = (char)(0x80 | ((ch >> 12) & 0x3f));
        }
        *out++ = (char)(0x80 | ((ch >> 6) & 0x3f));
    }
    *out++ = (char)(0x80 | (ch & 0x3f));
    return out;
}

#endif
