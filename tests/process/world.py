"""A clock moved by hand, a reader that reads nothing, and folders that look like Linux's."""

from __future__ import annotations

from dataclasses import replace

from memlens.process import MemoryReading, MemorySampler, read_memory
from memlens.process.sampling_thread import SamplingThread
from tests.clock import FakeClock


class FakeReader:
    """Gives readings of the fake clock's time; RSS is the number of the call, in MiB."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.template = read_memory()
        self.calls: list[tuple[bool, bool]] = []
        self.error: BaseException | None = None

    def __call__(self, *, uss, children) -> MemoryReading:
        self.calls.append((uss, children))
        if self.error is not None:
            raise self.error
        now = self.clock()
        rss = len(self.calls) << 20
        return replace(self.template, timestamp=now, monotonic_seconds=now, rss_bytes=rss)


class World:
    """Samplers without a thread: `pass_time` takes what is due."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.reader = FakeReader(self.clock)
        self.sampling = SamplingThread(clock=self.clock, reader=self.reader, threaded=False)

    def sampler(self, **options) -> MemorySampler:
        return MemorySampler(sampling=self.sampling, **options)

    def pass_time(self, seconds, step=1.0) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.sampling.run_due()


def plant(root, files) -> str:
    """Write a tree of files, given as {path: text}; return its root."""
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return str(root)
