"""Damaged files of programs: ELF files of a process, and source files that a report shows."""

from __future__ import annotations

import struct
from pathlib import Path

from memlens._frame import Frame
from memlens.attach.elf import ElfFile, NotElfError
from memlens.leaks.mentions import Mention
from memlens.report.html import keeping_lines
from memlens.report.html.source import SourceReader
from tests.damaged.choices import Choices, edited

SOURCE = '''"""A module."""
import functools

REGISTRY = {}


class Store:
    @functools.wraps(print)
    def put(self, key, value):
        self.items[key] = value
        REGISTRY[key].append((value, lambda: self.items))


async def serve(store):
    async for one in store:
        REGISTRY[one] += [f"{one!r:>{len(store)}}"]
'''
PIECES = (
    b"# coding: utf-16\n", b"\xff", b"\0", b"(" * 3000, b"\x0c", b"-" * 5000 + b"1", b"9" * 5000,
    b"\\", b'"""', b"\r", b"\xef\xbb\xbf", b"\tif x:\n", b"class A:\n" * 200, b"f'{f'{1}'}'",
)  # fmt: skip


def small_elf() -> bytes:
    """Return an ELF file with two sections, a segment, and two symbols, of which one is defined."""
    names = b"\0.dynsym\0.dynstr\0Py_Version\0malloc\0"
    symbols = b"".join(
        struct.pack("<IBBHQQ", name, 0x11, 0, section, value, 8)
        for name, section, value in ((0, 0, 0), (17, 1, 0x1000), (28, 0, 0))
    )
    start, size = 64, 64 + 56 + len(symbols) + len(names)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 0x1000)
    at_symbols = start + len(segment)
    at_names = at_symbols + len(symbols)
    at_sections = at_names + len(names)
    sections = b"".join(
        struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, length, link, 0, 8, 24)
        for name, kind, offset, length, link in (
            (0, 0, 0, 0, 0),
            (1, 11, at_symbols, len(symbols), 2),
            (9, 3, at_names, len(names), 0),
        )
    )
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 3, 62, 1, 0, start, at_sections, 0, 64, 56, 1,
        64, 3, 2,
    )  # fmt: skip
    return header + segment + symbols + names + sections


class ElfFiles:
    """The program file of a process, or a library of it."""

    def __init__(self) -> None:
        self.content = small_elf()

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        Path(path).write_bytes(edited(self.content, choices))

    def read(self, path: str, choices: Choices) -> None:
        """Ask for all that is asked of one."""
        try:
            elf = ElfFile(path)
            elf.first_address(), elf.section_address(".dynsym")
            for address in elf.symbols(["Py_Version", "malloc"]).values():
                elf.bytes_at(address, 8)
        except NotElfError:
            pass  # the process cannot be asked this way


class SourceFiles:
    """A source file whose lines a report shows, and which is parsed for what keeps a suspect."""

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file, with pieces that a parser may stumble over."""
        text = SOURCE.encode()
        for _ in range(choices.randrange(3)):
            place = choices.randrange(len(text))
            text = text[:place] + choices.choice(PIECES) + text[place:]
        Path(path + ".py").write_bytes(edited(text, choices) if choices.randrange(2) else text)

    def read(self, path: str, choices: Choices) -> None:
        """Look for a use of a holder in each function, and show lines."""
        source, file = SourceReader(True), path + ".py"
        for name, line in (("Store.put", 8), ("serve", 14), ("<lambda>", 11), ("<module>", 1)):
            mention = Mention(name, Frame(name, file, line), True)
            keeping_lines._use_in(mention, ["items", "REGISTRY"], source)
            source.around(file, line, name), source.line(file, line)
