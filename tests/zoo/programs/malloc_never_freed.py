"""Memory of the C library that is never given back: no Python object holds it."""

import ctypes

from support.pace import LEAK, rng, ticks

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
ctypes.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def compress(number):
    size = rng.randrange(60_000, 90_000)
    block = libc.malloc(size)
    ctypes.memset(block, number % 256, size)
    if not LEAK:
        libc.free(block)


def main():
    for i in ticks():
        compress(i)


if __name__ == "__main__":
    main()
