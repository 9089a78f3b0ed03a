"""The text form of each public structure."""

import io

import pytest

import memlens.structures
from memlens.structures import (
    BufferPool,
    ChunkProcessor,
    LRUCache,
    MultiSeries,
    NumericTimeSeries,
    ObjectPool,
    StringInterner,
    WeakValueCache,
    cached,
    process_json_lines,
    stream_json_lines,
)


def public_values():
    """Return an instance of each public class by the name of its class."""
    cache, pool, interner, weak = LRUCache(), ObjectPool(object), StringInterner(), WeakValueCache()
    lent = pool.acquire()
    result = process_json_lines(io.StringIO("1\nbad\n"), str, on_error="skip")
    values = [
        *(cache, cache.stats(), pool, pool.stats(), pool.lease(), pool.unreleased()[0]),
        *(interner, interner.stats(), weak, weak.stats(), BufferPool()),
        *(ChunkProcessor(list), cached(len), NumericTimeSeries(3), MultiSeries(("a", "b"), 3)),
        *(stream_json_lines(io.StringIO("1\n")), result, result.errors[0]),
        memlens.structures.CsvResult(1, 2),
    ]
    pool.release(lent)
    return {type(value).__name__: value for value in values}


def public_classes():
    exported = (getattr(memlens.structures, name) for name in memlens.structures.__all__)
    return sorted(value.__name__ for value in exported if isinstance(value, type))


def test_examples_cover_every_public_class():
    assert sorted(public_values()) == public_classes()


@pytest.mark.parametrize("name", public_classes())
def test_repr_is_one_short_line(name):
    text = repr(public_values()[name])
    assert " object at 0x" not in text.replace("<built-in", "")
    assert name.removesuffix("Function").lower() in text.lower()
    assert text.isprintable()
    assert len(text) <= 300
