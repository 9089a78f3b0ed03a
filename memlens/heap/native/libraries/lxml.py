"""lxml: the nodes and strings of documents, estimated from what XPath counts.

libxml2 does not tell what a document takes. An element, a text, a comment and an instruction are a
block of the C library each, an attribute is two, and a text has one more unless it is short. The
estimate is within 10 % for the GNU C library. XPath runs without the GIL, so documents are measured
late: only where no other thread can change them.
"""

from __future__ import annotations

import ctypes
import gc
import struct
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import Block

__all__ = ("ADAPTERS",)

_NODE_BYTES = 128  # xmlNode with the overhead of malloc
_ATTRIBUTE_BYTES = 112 + _NODE_BYTES  # xmlAttr, and its value
_STRING_OVERHEAD_BYTES = 16  # the zero at the end, the overhead of malloc and rounding
_SHORT_BYTES = 15  # a text of so many is stored in its node
_PART_BYTES = 300
_MAX_NODES = 200_000  # of larger documents the strings are not measured one by one
_SAMPLED_TEXTS = 100


def _texts_above(length: int) -> str:
    return f"/descendant::text()[string-length() > {length}]"


_COUNTS = ("count(//node())", "count(//@*)", "string-length(/)")
# Comments and instructions have a string each; where it or a value is long, 32 bytes more. With `//`
# or `|` before a condition, libxml2 takes quadratic time.
_IS_LONG = f"[string-length() > {_SHORT_BYTES}]"
_LONG = (
    "count(/descendant::comment())",
    f"count(/descendant::comment(){_IS_LONG})",
    "count(/descendant::processing-instruction())",
    f"count(/descendant::processing-instruction(){_IS_LONG})",
    f"count(/descendant::*[@*{_IS_LONG}])",
)

# struct LxmlDocument of lxml's public C interface: head, vtable, counter, prefix, xmlDoc, parser.
_DOCUMENT_WORDS = struct.Struct("=7Q")
# xmlDoc and xmlNode begin alike: private, type, name, children, last, parent, next, previous, doc.
_NODE_WORDS = struct.Struct("=9Q")
_DOCUMENT_TYPES = (9, 13)  # XML, HTML
_ELEMENT_TYPE = 1


def _no_blocks(document: Any) -> tuple[()]:
    return ()


def _make_blocks_of_document() -> Callable[[Any], tuple[Block, ...]]:
    questions = _Questions()

    def blocks_of_document(document: Any) -> tuple[Block, ...]:
        root = _root_element(document)
        return () if root is None else ((0, _estimated_bytes(root, questions), "cpu"),)

    return blocks_of_document


def _root_element(document: Any) -> Any:
    """Return the root element of a document; None if it has none, or if its layout is not known."""
    if type(document).__basicsize__ != _DOCUMENT_WORDS.size:
        return None
    words = _DOCUMENT_WORDS.unpack(ctypes.string_at(id(document), _DOCUMENT_WORDS.size))
    xml_document, parser = words[5:]
    if not xml_document or parser not in map(id, gc.get_referents(document)):
        return None
    fields = _node(xml_document)
    if fields[1] & 0xFFFFFFFF not in _DOCUMENT_TYPES or fields[8] != xml_document:
        return None
    child = fields[3]
    while child:
        fields = _node(child)
        if fields[1] & 0xFFFFFFFF == _ELEMENT_TYPE:
            return _make_element()(document, child)
        child = fields[6]
    return None


def _node(address: int) -> tuple[int, ...]:
    return _NODE_WORDS.unpack(ctypes.string_at(address, _NODE_WORDS.size))


@cache
def _make_element() -> Any:
    """Return ``elementFactory(document, node)`` of lxml's public C interface."""
    capsule = vars(sys.modules["lxml.etree"])["__pyx_capi__"]["elementFactory"]
    python = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", python))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", python)
    )
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_void_p)
    return prototype(pointer_of(capsule, name_of(capsule)))


class _Questions:
    """Compiled XPath expressions, each of which tells several numbers of a document."""

    def __init__(self) -> None:
        self._compile = vars(sys.modules["lxml.etree"])["XPath"]
        self._compiled: dict[str, Any] = {}

    def numbers(self, root: Any, expressions: Iterable[str]) -> list[int]:
        """Return what some expressions of XPath tell of the document of an element, as integers."""
        question = "concat(" + ", ' ', ".join(expressions) + ")"
        return [int(float(text)) for text in self.answer(root, question).split()]

    def answer(self, root: Any, question: str) -> Any:
        compiled = self._compiled.get(question)
        if compiled is None:
            compiled = self._compiled[question] = self._compile(question, smart_strings=False)
        return compiled(root)


def _estimated_bytes(root: Any, questions: _Questions) -> int:
    node_count, attribute_count, characters = questions.numbers(root, _COUNTS)
    total = node_count * _NODE_BYTES + attribute_count * _ATTRIBUTE_BYTES
    if node_count + attribute_count > _MAX_NODES:
        return total + characters
    total += 32 * sum(questions.numbers(root, _LONG))
    return total + _long_text_bytes(root, questions, characters)


def _long_text_bytes(root: Any, questions: _Questions, characters: int) -> int:
    """Return the bytes of all texts that are too long for their node."""
    bytes_a_character = _bytes_a_character(root, questions)
    longest_short = int(_SHORT_BYTES / bytes_a_character)
    # The lengths of the short texts, rounded to the middle of steps of four characters.
    steps = [
        f"count(/descendant::text()[{at_least} <= string-length()"
        f" and string-length() <= {longest_short}])"
        for at_least in range(2, longest_short + 1, 4)
    ]
    longest_part = int(_PART_BYTES / bytes_a_character)
    long_count, part_count, *short_counts = questions.numbers(
        root, [f"count({_texts_above(n)})" for n in (longest_short, longest_part)] + steps
    )
    if not long_count:
        return 0
    total = int(max(characters - 4 * sum(short_counts), 0) * bytes_a_character)
    if bytes_a_character > 1:
        # The parser reads these in parts, and doubles the memory at the second.
        total += _PART_BYTES * part_count
    return total + long_count * _STRING_OVERHEAD_BYTES


def _bytes_a_character(root: Any, questions: _Questions) -> float:
    """Return how many bytes of UTF-8 the characters of the first texts take on average."""
    texts = questions.answer(root, f"({_texts_above(3)})[position() <= {_SAMPLED_TEXTS}]")
    characters = sum(map(len, texts))
    return sum(len(text.encode("utf-8")) for text in texts) / characters if characters else 1.0


ADAPTERS = LibraryAdapters(
    "lxml",
    {"lxml.etree._Document": _no_blocks},
    later={"lxml.etree._Document": _make_blocks_of_document},
)
