"""The alerts and dashboards of the chart: they render, and they ask for metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from services.metrics import METRICS, Metric, MetricKind
from tests.chart import one, rendered, switched

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed: charts are not rendered"),
]
SUFFIXES = {
    MetricKind.COUNTER: ("_total",),
    MetricKind.GAUGE: ("",),
    MetricKind.HISTOGRAM: ("_bucket", "_count", "_sum"),
}


def exported(metric: Metric) -> set[str]:
    """The names that Ray gives it."""
    return {f"ray_{metric.name}{suffix}" for suffix in SUFFIXES[metric.kind]}


NAMES = {name: metric for metric in METRICS for name in exported(metric)}


def check(expression: str) -> None:
    found = re.findall(r"ray_tornio_\w+", expression)
    assert found
    assert set(found) <= NAMES.keys(), expression
    tags = {tag for name in found for tag in NAMES[name].tags} | {"le", "WorkerId"}
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert {tag.strip() for tag in group.split(",")} <= tags, expression
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def expressions(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_alerts_say_what_to_do_and_ask_for_metrics_that_exist() -> None:
    rule = one(rendered(*switched({"prometheusRule": {"enabled": True, "labels": {"release": "p"}}})), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "p"
    (group,) = rule["spec"]["groups"]
    assert len(group["rules"]) >= 4
    for alert in group["rules"]:
        check(alert["expr"])
        assert "{{ $labels.task }}" in alert["annotations"]["summary"], "Helm leaves Prometheus' own templates alone"
        assert alert["annotations"]["description"].endswith(".")
        assert alert["labels"]["severity"] in ("info", "warning", "critical")


def test_dashboards_ask_for_metrics_that_exist() -> None:
    maps = [
        d
        for d in rendered(*switched({"dashboards": {"enabled": True}}))
        if d["metadata"]["name"].endswith("-dashboards")
    ]
    (boards,) = maps
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    asked = ""
    for name, text in boards["data"].items():
        board = json.loads(text)
        assert name == f"{board['uid']}.json"
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        for expression in expressions(board):
            check(expression)
            asked += expression
    assert all(any(name in asked for name in exported(metric)) for metric in METRICS), "every metric is shown"


def test_nothing_is_made_where_nobody_asked() -> None:
    documents = rendered()
    assert not [d for d in documents if d["kind"] == "PrometheusRule" or d["metadata"]["name"].endswith("-dashboards")]
