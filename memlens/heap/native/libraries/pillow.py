"""Pillow: the pixels of images.

Where Pillow offers the pixels to Arrow, they are reported at their address: an image may share them
with the ``bytes`` that it was made from. Images of more than 16 MB, in several blocks, and all images
of older versions have an unknown address.
"""

from __future__ import annotations

from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import Block
from memlens.heap.native.libraries._arrow_stream import address_of_values

__all__ = ("ADAPTERS",)

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1}  # of the modes with other than four bytes


def _blocks_of_image(core: Any) -> tuple[Block, ...]:
    mode = core.mode
    width, height = core.size
    pixel_bytes = _PIXEL_BYTES.get(mode) or (2 if mode.startswith(("I;16", "BGR;1")) else 4)
    address = 0
    offer = getattr(core, "__arrow_c_array__", None)
    if offer is not None:
        try:
            address = address_of_values(offer())
        except ValueError:
            pass  # the rows are not contiguous
    return ((address, width * height * pixel_bytes, "cpu"),)


ADAPTERS = LibraryAdapters(
    "PIL",
    {},
    # No module has the type. Old versions named it after the module.
    unlisted={"ImagingCore": _blocks_of_image},
)
