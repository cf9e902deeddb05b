"""The sections of a spec about the loop: asking, closing batches, stopping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from tornio.spec.base import Choice, Spec, setting

HOLDOUT_ENOUGH = 400
NO_BOOTSTRAP = "none"
BOOTSTRAPS: Mapping[str, str | None] = {"teacher": "distillation", NO_BOOTSTRAP: None}
"""The values of ``loop.bootstrap``, with the training method that makes the version before anybody has labelled."""


class StopSpec(Spec):
    """When to stop asking for labels."""

    criterion: Choice = setting(
        "kappa-average",
        change="live",
        doc="Stopping criterion. kappa-average: stop when predictions on the stop set hardly change any more. "
        "classification-change, delta-f-score, overall-uncertainty: other signs of that. target-accuracy: stop when "
        "the hold-out shows an accuracy. budget: stop after so many labels. max-iterations: stop after max_iterations "
        "alone. any, all: several of these. none: never stop by itself. An installed package may bring others.",
    )
    settings: dict[str, Any] = setting(
        {},
        exclude_if=lambda settings: not settings,
        change="live",
        doc="Settings of the criterion, such as {labels: 500} for budget; docs/stopping.md lists them, or a "
        "package's own documentation. kappa-average and max-iterations have fields of their own instead. Default none.",
    )
    window: int = setting(
        3,
        unit="iterations",
        change="live",
        ge=1,
        le=100,
        doc="kappa-average: how many of the last agreements are averaged. Default 3, as in the paper.",
    )
    kappa: float = setting(
        0.99,
        change="live",
        gt=0,
        le=1,
        doc="kappa-average: stop when the average agreement reaches this value. Default .99, as in the paper.",
    )
    max_iterations: int | None = setting(
        None,
        unit="iterations",
        change="live",
        ge=1,
        doc="Stop after this many iterations, whatever the criterion. The criterion max-iterations needs it. "
        "Default no limit.",
    )
    stop_set_size: int = setting(
        1000,
        unit="records",
        change="refused",
        ge=10,
        le=100_000,
        doc="How many records of the pool the stop set has. It is drawn once, and stopping criteria are measured "
        "on it. Default 1000.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.criterion == "max-iterations" and self.max_iterations is None:
            raise ValueError("loop.stop.criterion 'max-iterations' needs loop.stop.max_iterations")
        return self


class LoopSpec(Spec):
    """How records are picked, batches are closed, and the loop stops."""

    strategy: Choice = setting(
        "breaking-ties",
        change="live",
        doc="Query strategy, which picks the texts of the next batch: breaking-ties, least-confidence, "
        "prediction-entropy, random, badge, bald, contrastive, typiclust and others, which docs/query-strategies.md "
        "lists, or one of an installed package. Default breaking-ties: the strongest of the cheap ones on most text "
        "data.",
    )
    strategy_settings: dict[str, Any] = setting(
        {},
        exclude_if=lambda settings: not settings,
        change="live",
        doc="Settings of the query strategy, if it has any; docs/query-strategies.md lists those of the built-in ones, "
        "and a package's own documentation its own. Default none.",
    )
    batch_size: int = setting(
        20,
        unit="records",
        change="live",
        ge=4,
        le=5000,
        doc="How many records are sent to annotators together, records of the hold-out included. Default 20: a few "
        "minutes of work.",
    )
    open_batches: int = setting(
        1,
        unit="batches",
        change="live",
        ge=1,
        le=20,
        doc="How many batches may be open at the same time. Default 1; with 2, annotators can work while a model "
        "trains.",
    )
    cold_start: Choice = setting(
        "random",
        change="live",
        doc="How records are picked before there is a model: random, diverse (spread over the embeddings), "
        "embedding-kmeans, typiclust, prob-cover, greedy-coreset, lightweight-coreset, or a strategy of an installed "
        "package. Default random: unbiased and cannot fail.",
    )
    bootstrap: Choice | None = setting(
        None,
        exclude_if=lambda bootstrap: bootstrap is None,  # release 0.2 does not know the field
        change="live",
        doc="What serves before anybody has labelled. teacher: the teacher labels the pool, and a student of it is "
        "version 0; annotators see its suggestions. none: nothing serves until there are labels. Default: a new task "
        "whose task.yaml has a section teacher gets teacher, any other none, and an apply that does not name it leaves "
        "it as it is. A task that has trained a version is never bootstrapped.",
    )
    close_fraction: float = setting(
        1.0,
        unit="share of the batch",
        change="live",
        gt=0,
        le=1,
        doc="A batch closes when this share of it is answered; a discard is an answer. Default all.",
    )
    close_after_hours: float | None = setting(
        None,
        unit="hours",
        change="live",
        gt=0,
        doc="A batch also closes this long after it was sent, if any of it is answered. A batch without an answer "
        "stays open, and the status says so. Default never.",
    )
    stop: StopSpec = setting(StopSpec(), change="live", doc="When to stop asking for labels.")
    holdout_share: float = setting(
        0.1,
        unit="share of the pool",
        change="refused",
        ge=0.01,
        le=0.5,
        doc="Share of the pool that belongs to the hold-out: it evaluates versions and is never trained on. Batches "
        "contain the same share, counted over all batches and not in each. Default a tenth. It cannot change: records "
        "that moved between training and judging would make scores too good.",
    )
    holdout_enough: int = setting(
        HOLDOUT_ENOUGH,
        exclude_if=lambda labels: labels == HOLDOUT_ENOUGH,  # release 0.2 does not know the field
        unit="labels",
        change="live",
        ge=0,
        le=1_000_000,
        doc="How many hold-out labels are enough. From then on, and as soon as a test set of at least "
        "gates.min_holdout texts was imported, batches hold a tenth of the hold-out's share: new texts still come to "
        "be judged, and the other answers train. Default 400: the 95 % interval of an accuracy of 90 % is then 6 "
        "points wide, and it takes four times as many labels to halve it.",
    )
    seed: int = setting(
        0,
        change="refused",
        ge=0,
        lt=2**31,
        doc="Seed of every random choice of the task: hold-out, batches, trainings, stop set. Default 0.",
    )
