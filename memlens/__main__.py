"""``python -m memlens``, and the script ``memlens``."""

from __future__ import annotations

import sys

__all__ = ("main",)


def main() -> int:
    """Run the command line; an interrupt ends the process by its signal, also while it imports."""
    try:
        from memlens.cli.main import start

        return start()
    except KeyboardInterrupt:
        from memlens.cli.ending import end_by

        return end_by(2)


if __name__ == "__main__":
    sys.exit(main())
