"""A pool of byte buffers of equal size, to read files and sockets without new memory."""

from __future__ import annotations

from memlens.structures._arguments import require_count
from memlens.structures._loans import Loan
from memlens.structures.pool import ObjectPool

__all__ = ("BufferPool",)


class BufferPool(ObjectPool[memoryview]):
    """At most ``count`` buffers of ``size`` bytes, lent as writable memoryviews.

    **Use it** with ``readinto``, ``recv_into`` and ``pack_into`` if your program repeatedly
    allocates buffers of several 100 KiB. From about 128 KiB on, each allocation gets new pages from
    the operating system, which costs ten times as much as a lease. Smaller buffers are cheaper to
    create than to lease. Waiting, leases and lost objects work as in `ObjectPool`. Buffers are
    created on demand; buffers idle for ``idle_seconds`` are freed by later releases and by
    ``shrink()``.

    A released view is unusable: using it raises ValueError, and releasing it a second time is
    always detected. If slices, arrays or other views of it are still alive, ``release`` raises
    BufferError and the memory is not used again. With ``zero=True`` the bytes are cleared on
    release (a few µs for 64 KiB), so that no content reaches the next user.
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
            lambda: bytearray(size),  # type: ignore[arg-type,return-value]  # lent as a memoryview
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
                f"the buffer is still in use ({error}): delete its arrays and views before the release"
            ) from None
        try:
            stored.append(stored.pop())  # fails while slices of the view are alive
            if self._zeros is not None:
                stored[:] = self._zeros
        except BaseException as error:
            self._slots.forget()
            if not isinstance(error, BufferError):  # out of memory, or interrupted
                raise
            raise BufferError(
                "slices of the buffer are still alive, so its memory is not used again: delete them"
                " before the release"
            ) from None
        return stored

    def _why_not_lent(self, item: memoryview) -> str:
        if type(item) is memoryview and repr(item).startswith("<released"):
            return "this buffer was released before; acquire another one"
        return super()._why_not_lent(item)
