"""The files of leak alerts."""

from __future__ import annotations

from memlens.triggers.protocol import Host

__all__ = ("OnAlert", "on_alert")


def on_alert() -> OnAlert:
    """Return a trigger that hands the files of each leak alert to ``on_file``.

    Those are the leak report, as JSON with the text beside it, and the newest snapshot. With this
    trigger snapshots are analysed even if the profiler has no ``on_alert``; alerts are logged as
    warnings then.
    """
    return OnAlert()


class OnAlert:
    """The trigger of `on_alert`: the profiler, which gives the alerts, knows it by its type."""

    def __repr__(self) -> str:
        return "on_alert()"

    def start(self, host: Host) -> None:
        """Do nothing: alerts are given by the profiler."""

    def stop(self) -> None:
        """Do nothing."""
