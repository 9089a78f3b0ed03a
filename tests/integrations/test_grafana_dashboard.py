"""The dashboard and the alert rules in docs use metrics and labels that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from memlens.integrations.metrics.metric_samples import STATES
from memlens.integrations.metrics.metric_table import METRICS

DOCS = Path(__file__).resolve().parents[2] / "docs"
LABELS = {
    f"{metric.name}_total" if metric.kind == "counter" else metric.name: metric.labels
    for metric in METRICS
    if metric.name
} | {"memlens_scrape_failures_total": ()}
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
OF_PROMETHEUS = {"job", "instance"}  # labels that it adds


def expressions():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    yield from (one["expr"] for one in DASHBOARD["annotations"]["list"])


def of_rules():
    text = (DOCS / "prometheus-rules.yml").read_text(encoding="utf-8")
    return re.findall(r"^ +expr: (?:>-\s+)?(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("expression", [*expressions(), *of_rules()])
def test_metrics_labels_and_states_exist(expression):
    used = re.findall(r"(memlens_\w+)(?:\{([^}]*)\})?", expression)
    assert used
    for name, selectors in used:
        assert name in LABELS, name
        labels = re.findall(r"(\w+)=~?", selectors)
        assert set(labels) <= {*LABELS[name], *OF_PROMETHEUS}
    states = re.findall(r'state="(\w+)"', expression)
    assert set(states) <= set(STATES)
    grouped = re.findall(r"(?:by|ignoring) \(([^)]*)\)", expression)
    known = {label for name, _ in used for label in LABELS[name]} | OF_PROMETHEUS
    assert {label.strip() for group in grouped for label in group.split(",")} <= known


def test_legends_use_labels_that_the_metric_has():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            (name,) = re.findall(r"memlens_\w+", target["expr"])
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert legend <= {*LABELS[name], *OF_PROMETHEUS}, target


def test_panels_have_a_place_of_their_own_and_a_number():
    cells = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, panel["title"]
                cells.add((x, y))
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["title"] for panel in DASHBOARD["panels"])


def test_the_variables_of_the_dashboard_are_defined():
    defined = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(DASHBOARD)))
    assert used == defined
