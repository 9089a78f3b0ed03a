"""The example of docs/logging.md runs in one command."""

from __future__ import annotations

import json

from tests.examples.programs import run_example


def test_each_snapshot_is_a_line_of_json():
    *snapshots, end = map(json.loads, run_example("json_logging").splitlines())
    assert {line["event"] for line in snapshots} == {"snapshot"}
    reasons = [line["reason"] for line in snapshots]
    assert [one for one in reasons if one != "periodic"] == [
        "startup",
        "manual",
        "manual",
        "manual",
    ]
    assert all(line["bytes"] > 0 and line["objects"] > 0 for line in snapshots)
    assert end["holder"] == "__main__.SESSIONS"
