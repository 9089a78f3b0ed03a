"""Sampler tables made by hand, as `memlens._core.sampler_api.read_samples` gives them."""

from __future__ import annotations

from array import array

from memlens._core.sampler_api import COLUMNS

MEM, OBJECT = 0, 1


def tables(samples):
    """Samples are ``(address, size, probability, domain, call path, innermost call first)``.

    A call is ``(function, file, line)``. The sequence number of a sample is its place in the list.
    """
    strings: dict[str, int] = {}
    frames: dict[tuple[int, int, int], int] = {}
    stacks: dict[tuple[int, ...], int] = {(): 0}
    buckets: dict[tuple[int, int], int] = {}
    rows = []
    for address, size, probability, domain, path in samples:
        numbers = []
        for function, file, line in path:
            names = (strings.setdefault(name, len(strings)) for name in (function, file))
            numbers.append(frames.setdefault((*names, line), len(frames)))
        stack = stacks.setdefault(tuple(numbers), len(stacks))
        rows.append((address, size, probability, buckets.setdefault((stack, domain), len(buckets))))
    texts = [text.encode("utf-8", "surrogatepass") for text in strings]
    columns = {
        "string_bytes": b"".join(texts),
        "string_offset": offsets(texts),
        "location_function": [frame[0] for frame in frames],
        "location_file": [frame[1] for frame in frames],
        "location_line": [frame[2] for frame in frames],
        "stack_offset": offsets(stacks),
        "stack_location": [frame for stack in stacks for frame in stack],
        "bucket_stack": [stack for stack, _ in buckets],
        "bucket_domain": [domain for _, domain in buckets],
        "sample_address": [row[0] for row in rows],
        "sample_size": [row[1] for row in rows],
        "sample_probability": [row[2] for row in rows],
        "sample_sequence": range(len(rows)),
        "sample_bucket": [row[3] for row in rows],
    }
    return {name: array(COLUMNS[name], values).tobytes() for name, values in columns.items()}


def offsets(parts):
    ends = [0]
    for part in parts:
        ends.append(ends[-1] + len(part))
    return ends
