"""The slow part of an answer: makes its file, in any thread, and cleans up however it ends."""

from __future__ import annotations

import os
import threading
import time
from typing import BinaryIO

from memlens._core.sampler_api import OwnWork
from memlens._log import ERROR, INFO, WARNING, log_event
from memlens.errors import MemlensError
from memlens.integrations.web.contents import Endpoint, Source
from memlens.integrations.web.guard import Turn
from memlens.integrations.web.requests import HTML, Format, Request, RequestError
from memlens.integrations.web.responses import Response, error_response, headers_of, page_policy
from memlens.integrations.web.stopping import Stopper, WorkStoppedError
from memlens.integrations.web.temporary import nameless_file

__all__ = ("CHUNK_BYTES", "MAX_SECONDS", "Work")

CHUNK_BYTES = 256 * 1024
MAX_SECONDS = 600.0  # for a client to take an answer, which has a file and the turn meanwhile


class Work:
    """An answer that has been admitted: `run` makes it, `close` gives up what it holds.

    Both may be called by different threads. `close` may come before `run` has ended: then the work
    is stopped, and `run` cleans up.
    """

    def __init__(
        self, request: Request, endpoint: Endpoint, form: Format, source: Source, turn: Turn | None
    ) -> None:
        self._request, self._endpoint, self._form = request, endpoint, form
        self._source = source
        self._turn = turn
        self._stopper = Stopper()
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._is_running = self._is_closed = False
        self._pid = os.getpid()

    def __del__(self) -> None:
        """Clean up where a server has forgotten to close the answer."""
        if hasattr(self, "_is_closed"):
            self.close()

    def run(self) -> Response:
        """Make the answer, or one that says what failed. Never raises an ``Exception``."""
        with self._lock:
            if self._is_closed:
                return self._failed(RequestError(503, "The request was cancelled."))
            self._is_running = True
        started = time.monotonic()
        try:
            with OwnWork():
                response = self._made()
        finally:
            with self._lock:
                self._is_running = False
                is_closed = self._is_closed
            if is_closed:
                self._give_up()
        size, seconds = self._size(response), time.monotonic() - started
        path, form, status = self._endpoint.path, self._form.name, response.status
        log_event(
            INFO,
            "endpoint_answered",
            f"{path} {form}: {status}, {size} bytes, made in {seconds:.3f} seconds",
            part="web",
            endpoint=path,
            form=form,
            status=status,
            bytes=size,
            seconds=seconds,
        )
        return response

    def _log_failure(
        self,
        level: int,
        message: str,
        error: BaseException,
        exception: BaseException | None = None,
    ) -> None:
        log_event(
            level,
            "endpoint_failed",
            message,
            exception=exception,
            part="web",
            endpoint=self._endpoint.path,
            error_type=type(error).__name__,
        )

    @property
    def is_running(self) -> bool:
        """Whether `run` has begun and not ended."""
        return self._is_running

    def close(self) -> None:
        """Stop the work, close the file and give the turn back; may be called again.

        While `run` runs, this waits for the end of the processes that do the work.
        """
        if os.getpid() != self._pid:  # a copy in a forked child: the processes are not its own
            self._turn = None
            self._give_up()
            return
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
            is_running = self._is_running
        self._stopper.stop()
        if not was_closed and not is_running:
            self._give_up()

    def _give_up(self) -> None:
        file, self._file = self._file, None
        turn, self._turn = self._turn, None
        if file is not None:
            file.close()
        if turn is not None:
            turn.give_back()

    def _made(self) -> Response:
        try:
            self._file = nameless_file(self._form.suffix, self._write)
            return self._response(self._file)
        except RequestError as error:
            return self._failed(error)
        except WorkStoppedError:
            return self._failed(RequestError(503, "The request was cancelled."))
        except (MemlensError, MemoryError) as error:
            if not self._stopper.is_stopped:
                self._log_failure(
                    WARNING, f"{self._endpoint.path} cannot be answered: {error}", error
                )
        except Exception as error:  # noqa: BLE001 - the client must not see it, the log does
            message = f"{self._endpoint.path} cannot be answered"
            self._log_failure(ERROR, message, error, exception=error)
        return self._failed(
            RequestError(500, "The answer could not be made. The log of the server says why.")
        )

    def _write(self, path: str) -> None:
        self._endpoint.write(self._source, self._form, self._stopper, path)

    def _response(self, file: BinaryIO) -> Response:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        headers = headers_of(
            self._form,
            size_bytes,
            file_name=self._endpoint.file_name(self._form),
            **({"policy": page_policy(file)} if self._form is HTML else {}),
        )
        return Response(200, headers, file=file)

    def _failed(self, error: RequestError) -> Response:
        return error_response(self._request, error)

    @staticmethod
    def _size(response: Response) -> int:
        return int(dict(response.headers).get("Content-Length", 0))
