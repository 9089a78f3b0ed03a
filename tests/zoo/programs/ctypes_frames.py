"""Frames of a camera, in buffers of ctypes, are kept in a list: somebody forgot to drop old ones."""

import ctypes

from support.pace import LEAK, rng, ticks

FRAME_BYTES = 40_000
frames = []


def capture():
    frame = (ctypes.c_ubyte * FRAME_BYTES)()
    ctypes.memset(frame, rng.randrange(256), FRAME_BYTES)
    return frame


def main():
    for _ in ticks():
        frames.append(capture())
        if not LEAK:
            del frames[:-20]


if __name__ == "__main__":
    main()
