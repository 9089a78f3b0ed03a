"""``python -m memlens``."""

from __future__ import annotations

import sys

from memlens.cli.main import main

sys.exit(main())
