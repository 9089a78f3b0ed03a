"""Run the tests of some modules in a small process each.

A capture looks at every object of its process. A process that has imported the whole suite, with
Hypothesis, numpy and networkx, has 360,000 objects; one that has imported only pytest and one test
module has less than half of them. A crash there fails one test and leaves the others alone.

A module asks for it with ``pytestmark = pytest.mark.small_process``. Its tests are ordinary tests:
they are collected here, run there one after the other, and their reports come back. With ``--pdb``
or ``-s`` they run here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import pytest

WORKER = "tests.small_process_worker"
MARK = "small_process"


class SmallProcesses:
    """The plugin that hands marked tests to a worker; one worker at a time, one for each module."""

    def __init__(self):
        self.worker = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        if item.get_closest_marker(MARK) is None or runs_here(item.config):
            return None
        worker = self._worker_for(item)
        following = nextitem.nodeid if nextitem is not None and nextitem.path == item.path else None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in worker.run(item, following):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if following is None or worker.has_ended:
            self._close()
        # What an earlier test of this folder has set up here is not for the next folder.
        item.session._setupstate.teardown_exact(nextitem)
        return True

    def pytest_sessionfinish(self):
        self._close()

    def _worker_for(self, item):
        if self.worker is not None and self.worker.path != item.path:
            self._close()
        if self.worker is None:
            self.worker = Worker(item.config, item.path)
        return self.worker

    def _close(self):
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def runs_here(config):
    """Whether marked tests run in this process: in a worker, or where a human looks on."""
    options = config.option
    return config.pluginmanager.has_plugin(WORKER) or options.usepdb or options.capture == "no"


class Worker:
    """A process that runs the tests of one module."""

    def __init__(self, config, path):
        self.config = config
        self.path = path
        self.has_ended = False
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        requests, self._requests = os.pipe()
        self._reports, reports = os.pipe()
        self._process = subprocess.Popen(
            self._command(requests, reports),
            cwd=config.rootpath,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            pass_fds=(requests, reports),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )
        os.close(requests)
        os.close(reports)
        self._lines = open(self._reports, encoding="utf-8")  # noqa: SIM115

    def _command(self, requests, reports):
        # `--tb` and `-v` decide how a failure is described, and that is done there.
        option = self.config.option
        return [
            *(sys.executable, "-m", "pytest", "-p", WORKER, "-p", "no:cacheprovider", "--slow"),
            *(f"--requests={requests}", f"--reports={reports}", f"--tb={option.tbstyle}"),
            *(f"--verbosity={option.verbose}", os.fspath(self.path)),
        ]

    def run(self, item, following):
        """Run one test and yield its reports; ``following`` is the one that will run after it."""
        request = json.dumps({"run": item.nodeid, "next": following}) + "\n"
        try:
            os.write(self._requests, request.encode())
        except BrokenPipeError:
            pass  # its end is seen at the first read
        hook = self.config.hook
        for line in self._lines:
            if line == "\n":  # the test is over
                return
            report = hook.pytest_report_from_serializable(config=self.config, data=json.loads(line))
            if report.skipped and isinstance(report.longrepr, list):  # JSON has no tuples
                report.longrepr = tuple(report.longrepr)
            yield report
        self.has_ended = True
        yield self._death(item)

    def _death(self, item):
        code = self._process.wait()
        self._output.seek(0)
        said = self._output.read().decode(errors="replace")
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="failed",
            longrepr=f"The process of this test has ended, with exit code {code}.\n{said}",
            when="call",
        )

    def close(self):
        """Let the process end, and wait for it."""
        os.close(self._requests)
        self._process.wait()
        self._lines.close()
        self._output.close()
