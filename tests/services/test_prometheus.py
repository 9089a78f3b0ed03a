"""The collector with the client library of Prometheus, with promtool, and scraped by Prometheus."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from memlens._core.sampler_api import why_unavailable
from memlens.errors import OptionError
from memlens.integrations import prometheus as module
from memlens.integrations.metrics.metric_table import METRICS
from memlens.integrations.prometheus import MemlensCollector
from tests.profiler.planted import profiler_in
from tests.services.service import HttpService, free_port

client = pytest.importorskip("prometheus_client")

from prometheus_client.openmetrics.exposition import (  # noqa: E402
    generate_latest as generate_openmetrics,
)
from prometheus_client.openmetrics.parser import (  # noqa: E402
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

pytestmark = pytest.mark.services

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
need_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
need_server = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus")
READY_SECONDS = 60


@pytest.fixture
def profiler(planted, tmp_path):
    profiler = profiler_in(tmp_path, allocation_interval_bytes=1, limit=1 << 40)
    with profiler:
        yield profiler


def registry_of(profiler, **options):
    registry = client.CollectorRegistry()
    registry.register(MemlensCollector(profiler, **options))
    return registry


def scrape(registry) -> str:
    return client.generate_latest(registry).decode()


def samples(text) -> dict:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_of_the_table_is_told(profiler):
    kept = [bytes(1000) for _ in range(100)]
    text = scrape(registry_of(profiler))
    assert kept
    told = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(told) == {
        *(metric.name for metric in METRICS if metric.name),
        "memlens_scrape_failures",
    }
    found = samples(text)
    assert found["memlens_memory_limit_bytes", ("source", "given")] == 1 << 40
    assert found["memlens_running",] == 1
    assert found["memlens_snapshots_total",] == 1
    assert found["memlens_leak_state", ("series", "rss"), ("state", "warming")] == 1
    assert found["memlens_scrape_failures_total",] == 0
    if why_unavailable() is None:
        named = {key: value for key, value in found.items() if key[0] == "memlens_live_bytes"}
        assert any("test_prometheus.py" in key[1][1] for key in named)
        assert sum(named.values()) > 100_000


def test_the_exposition_of_openmetrics_can_be_read_too(profiler):
    text = generate_openmetrics(registry_of(profiler)).decode()
    assert "memlens_resident_memory_bytes" in {one.name for one in parse_openmetrics(text)}


def test_a_profiler_that_was_stopped_still_tells_memory(planted, tmp_path):
    profiler = profiler_in(tmp_path)
    registry = registry_of(profiler)
    before = samples(scrape(registry))
    with profiler:
        pass
    after = samples(scrape(registry))
    assert before["memlens_running",] == after["memlens_running",] == 0
    assert before["memlens_resident_memory_bytes",] > 1 << 20
    assert (before["memlens_snapshots_total",], after["memlens_snapshots_total",]) == (0, 1)


def test_two_profilers_in_one_registry_are_refused_by_it(profiler, tmp_path):
    registry = registry_of(profiler)
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(MemlensCollector(profiler_in(tmp_path / "other")))


def test_registering_reads_nothing(profiler, monkeypatch):
    monkeypatch.setattr(type(profiler), "metrics", lambda *_: pytest.fail("read"))
    registry_of(profiler)


def test_a_scrape_never_fails(profiler, monkeypatch, caplog):
    registry = registry_of(profiler)
    with monkeypatch.context() as patch:
        patch.setattr(type(profiler), "metrics", lambda *_: 1 / 0)
        for number in (1, 2):
            assert samples(scrape(registry)) == {("memlens_scrape_failures_total",): number}
    assert [record.name for record in caplog.records] == ["memlens"]  # once
    assert samples(scrape(registry))["memlens_running",] == 1


def test_one_metric_that_fails_leaves_the_others(profiler, monkeypatch):
    broken = METRICS[0]._replace(samples=lambda *_: 1 / 0)
    monkeypatch.setattr(module, "_SHOWN", (broken, *module._SHOWN[1:]))
    found = samples(scrape(registry_of(profiler)))
    assert (broken.name,) not in found
    assert found["memlens_scrape_failures_total",] == 1
    assert found["memlens_running",] == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # other threads run
def test_in_a_forked_child_the_numbers_are_its_own(profiler):
    registry = registry_of(profiler)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, scrape(registry).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        found = samples(pipe.read().decode())
    os.waitpid(pid, 0)
    assert found["memlens_snapshots_total",] == 0  # the snapshot was the parent's
    assert found["memlens_running",] == 1


def test_in_multiprocess_mode_the_collector_tells_of_the_process_that_answers(tmp_path):
    """What docs/metrics.md says: register it beside the collector of the files of all processes."""
    program = (
        "import sys, prometheus_client as client\n"
        "from prometheus_client.multiprocess import MultiProcessCollector\n"
        "import memlens\n"
        "from memlens.integrations.prometheus import MemlensCollector\n"
        "client.Counter('requests', 'by all').inc(3)\n"
        "registry = client.CollectorRegistry()\n"
        "MultiProcessCollector(registry)\n"
        "registry.register(MemlensCollector(memlens.MemoryProfiler(sys.argv[1])))\n"
        "print(client.generate_latest(registry).decode())\n"
    )
    (tmp_path / "prometheus").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path / "profiles")],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "prometheus")},
        capture_output=True,
        text=True,
        check=True,
    )
    found = samples(done.stdout)
    assert found["requests_total",] == 3
    assert found["memlens_running",] == 0
    assert found["memlens_resident_memory_bytes",] > 1 << 20
    assert not [name for name in os.listdir(tmp_path / "prometheus") if "memlens" in name]


def test_wrong_options_are_refused(profiler):
    with pytest.raises(OptionError):
        MemlensCollector(object())
    with pytest.raises(OptionError):
        MemlensCollector(profiler, max_sites=-1)


@need_promtool
def test_promtool_finds_nothing_to_criticise(profiler):
    check = ["promtool", "check", "metrics"]
    done = subprocess.run(
        check, input=scrape(registry_of(profiler)), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@need_promtool
def test_promtool_would_criticise():
    check = ["promtool", "check", "metrics"]
    text = "# HELP memlens_alerts x.\n# TYPE memlens_alerts counter\nmemlens_alerts 1\n"
    done = subprocess.run(check, input=text, capture_output=True, text=True, check=False)
    assert "_total" in done.stderr + done.stdout


@need_promtool
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", str(DOCS / "prometheus-rules.yml")),
        ("test", "rules", "prometheus_rules_test.yml"),
    ],
)
def test_the_alert_rules_are_valid_and_tested(command):
    done = subprocess.run(
        ["promtool", *command], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@need_promtool
def test_the_expressions_of_the_dashboard_are_valid(tmp_path):
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for one in dashboard["panels"] for target in one["targets"]]
    expressions += [one["expr"] for one in dashboard["annotations"]["list"]]
    rules = [
        {"record": f"check:{number}", "expr": re.sub(r"\$__\w+", "5m", expression)}
        for number, expression in enumerate(expressions)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@need_server
def test_prometheus_scrapes_it_and_evaluates_the_rules(profiler, tmp_path):
    server, thread = client.start_http_server(0, "127.0.0.1", registry_of(profiler))
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(DOCS / "prometheus-rules.yml")],
        "scrape_configs": [
            {
                "job_name": "shop",
                "static_configs": [{"targets": [f"127.0.0.1:{server.server_address[1]}"]}],
            }
        ],
    }
    path = tmp_path / "prometheus.yml"
    path.write_text(json.dumps(config))
    with (
        open(tmp_path / "log", "w+") as log,
        subprocess.Popen(
            [
                "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            query = 'memlens_leak_state{job="shop",state="warming"} == 1'
            found = _wait_for(lambda: _query(port, query), process, tmp_path / "log")
            assert {one["metric"]["series"] for one in found} == {"rss", "blocks"}
            (rss,) = _query(port, "memlens_resident_memory_bytes")
            assert float(rss["value"][1]) > 1 << 20
            _wait_for(lambda: _all_rules_are_ok(port), process, tmp_path / "log")
        finally:
            process.terminate()
            server.shutdown()
            thread.join()
            server.server_close()


def test_each_worker_of_gunicorn_tells_of_itself(tmp_path, monkeypatch):
    pytest.importorskip("gunicorn")
    first = _two_free_ports()
    monkeypatch.setenv("FIRST_PORT", str(first))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    command = ("gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "-c", "gunicorn_metrics.py")
    with HttpService((*command, "plain_app:application"), tmp_path, True) as service:
        found = {port: {} for port in (first, first + 1)}

        def all_answer():
            for port in found:
                found[port] = _metrics_at(port)
            return all(found.values())

        service.wait_for(all_answer, READY_SECONDS)
    for one in found.values():
        assert one["memlens_running",] == 1
        assert one["memlens_snapshots_total",] == 1  # its own baseline


def _metrics_at(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return samples(answer.read().decode())
    except OSError:
        return {}  # not started yet


def _two_free_ports():
    while True:
        first = free_port()
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", first + 1))
            return first


def _all_rules_are_ok(port):
    groups = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/rules"))
    rules = [rule for group in groups["data"]["groups"] for rule in group["rules"]]
    assert not [rule for rule in rules if rule["health"] == "err"], rules
    return rules and all(rule["health"] == "ok" for rule in rules)


def _query(port, expression):
    query = urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}") as answer:
            return json.load(answer)["data"]["result"]
    except OSError:
        return []  # not started yet


def _wait_for(answer, process, log):
    end = time.monotonic() + READY_SECONDS
    while not (found := answer()):
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(f"Prometheus has no answer:\n{log.read_text()}")
        threading.Event().wait(0.1)
    return found
