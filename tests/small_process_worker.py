"""The other side of ``tests.small_process``: a pytest that runs the tests that it is asked for."""

from __future__ import annotations

import json
import os

import pytest


def pytest_addoption(parser):
    parser.addoption("--requests", type=int, help="descriptor with lines that name a test")
    parser.addoption("--reports", type=int, help="descriptor for the reports of these tests")


def pytest_configure(config):
    config.pluginmanager.register(Reports(config), "reports of a small process")
    for name in ("requests", "reports"):
        os.set_inheritable(config.getoption(name), False)


class Reports:
    """Sends each report as a line of JSON, and an empty line after each test."""

    def __init__(self, config):
        self.config = config
        self.file = open(config.getoption("reports"), "w", encoding="utf-8")  # noqa: SIM115

    def pytest_runtest_logreport(self, report):
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self.file.write(json.dumps(data) + "\n")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        items = {item.nodeid: item for item in session.items}
        with open(self.config.getoption("requests"), encoding="utf-8") as requests:
            for line in requests:
                request = json.loads(line)
                item, following = items[request["run"]], items.get(request["next"])
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                self.file.write("\n")
                self.file.flush()
        return True
