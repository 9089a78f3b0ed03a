"""A host that notes what triggers ask of it, and rooms that tests set."""

from __future__ import annotations

from memlens.process.headroom import Headroom


class NotingHost:
    def __init__(self, is_kept=True):
        self.is_kept = is_kept
        self.fired, self.waited, self.guards, self.failures = [], [], [], []
        self.is_other = False

    def fire(self, reason, *, min_seconds=0.0):
        self.fired.append((reason, min_seconds))
        return True

    def fire_and_wait(self, reason, *, min_seconds=0.0, guard=None):
        self.waited.append(reason)
        self.guards.append(guard)
        return self.is_kept

    def is_other_capturing(self):
        return self.is_other

    def note_failure(self, what, error):
        self.failures.append((what, error))


class PlantedMeter:
    """Measures what the test has planted."""

    def __init__(self, *rooms, stalled=None):
        self.rooms = rooms
        self.stalled = stalled
        self.closed = 0

    def measure(self):
        return self.rooms

    def stalled_share(self):
        return self.stalled

    def close(self):
        self.closed += 1

    def set_free(self, free_bytes, limit_bytes=1 << 30, source="cgroup-v2"):
        self.rooms = (Headroom(source, limit_bytes, limit_bytes - free_bytes),)
