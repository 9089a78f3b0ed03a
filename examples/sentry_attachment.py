"""Send an event to Sentry for each file of a trigger, with the file attached.

    pip install 'sentry-sdk>=2'
    python examples/sentry_attachment.py

Nothing leaves this machine: a transport prints what would be sent. A real service calls
``sentry_sdk.init(dsn=...)`` without ``transport``. Sentry refuses large attachments, so a file above
the limit is named in the event only. A snapshot has the names and the structure of the program, but
no values; see the page on security before it leaves the host.
"""

from __future__ import annotations

import tempfile
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

import memlens
from memlens import triggers

MAX_ATTACHMENT_BYTES = 50 << 20
ORDERS: list[dict[str, int]] = []


class PrintingTransport(Transport):
    """Prints envelopes instead of sending them."""

    def capture_envelope(self, envelope: Envelope) -> None:
        """Print the event and the names and sizes of what is attached."""
        for item in envelope.items:
            if item.type == "event":
                event: Any = item.get_event()
                print(f"event: {event['message']} {event['tags']}")
            elif item.type == "attachment":
                size = len(item.get_bytes())
                print(f"attachment: {item.headers['filename']} ({size:,} bytes)")


def send_to_sentry(file: triggers.TriggeredFile) -> None:
    """Send an event about a file, in the thread that hands out files."""
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("memlens.reason", file.reason)
        scope.set_tag("memlens.kind", file.kind)
        scope.set_context("memlens", file.to_dict())
        if file.size_bytes <= MAX_ATTACHMENT_BYTES:
            scope.add_attachment(path=file.path)
        sentry_sdk.capture_message(f"memory {file.kind}: {file.reason}", level="warning")


def main() -> None:
    """Leak a little, then end: the snapshot of the exit is sent."""
    sentry_sdk.init(dsn="https://public@sentry.invalid/1", transport=PrintingTransport)
    memlens.MemoryProfiler(
        tempfile.mkdtemp(prefix="memlens-profiles-"),
        triggers=[triggers.at_exit(), triggers.on_memory_error(), triggers.before_limit(0.1)],
        on_file=send_to_sentry,
    ).start()
    ORDERS.extend({"id": number} for number in range(10_000))


if __name__ == "__main__":
    main()
