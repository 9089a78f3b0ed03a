"""A pool of byte buffers of one size, to read files and sockets without new memory each time."""

from __future__ import annotations

from memlens.structures._arguments import require_count
from memlens.structures._loans import Loan
from memlens.structures.pool import ObjectPool

__all__ = ("BufferPool",)


class BufferPool(ObjectPool[memoryview]):
    """At most ``count`` buffers of ``size`` bytes, handed out as writable memoryviews.

    **Use it** with ``readinto``, ``recv_into`` and ``pack_into`` where buffers of several
    100 KiB would be allocated again and again: from about 128 KiB on the system is asked for fresh
    pages each time, which costs ten times the lease. Smaller ones are cheaper to make
    than to lease. All that `ObjectPool` says of waiting, leases and lost objects holds.
    Buffers are made when first needed; those idle for ``idle_seconds`` are freed by later
    releases and by ``shrink()``.

    A release makes the view unusable: who still holds it gets ValueError instead of the bytes of
    the next user, and a second release is always noticed. BufferError tells of slices, arrays and
    other views of it that are still alive; the memory is then not used again. With ``zero=True``
    the bytes are cleared on release (a few µs for 64 KiB), so no content passes from one user to
    the next.
    """

    def __init__(
        self,
        size: int = 65536,
        count: int = 16,
        *,
        zero: bool = True,
        idle_seconds: float = 60.0,
        frames: int = 4,
    ) -> None:
        self.size_bytes = require_count("size", size)
        require_count("count", count)
        self._zeros = bytes(size) if zero else None
        super().__init__(
            lambda: bytearray(size),  # type: ignore[arg-type,return-value]  # lent as a view of it
            initial_size=0,
            max_size=count,
            idle_seconds=idle_seconds,
            frames=frames,
        )

    def _wrapped(self, stored: object) -> memoryview:
        assert isinstance(stored, bytearray)
        return memoryview(stored)

    def _unwrapped(self, item: memoryview, loan: Loan) -> object:
        stored: bytearray = loan.payload
        try:
            item.release()
        except BufferError as error:
            self._loans.by_id[loan.number] = loan
            raise BufferError(
                f"the buffer is still in use ({error}): drop arrays and views of it before release"
            ) from None
        try:
            stored.append(stored.pop())  # refused while slices of the view are alive
        except BufferError:
            self._slots.forget()
            raise BufferError(
                "slices of the buffer are still alive: its memory is left to them and not used "
                "again. Drop them before release"
            ) from None
        if self._zeros is not None:
            stored[:] = self._zeros
        return stored

    def _why_not_lent(self, item: memoryview) -> str:
        if type(item) is memoryview and repr(item).startswith("<released"):
            return "this buffer was released before; acquire another one"
        return super()._why_not_lent(item)
