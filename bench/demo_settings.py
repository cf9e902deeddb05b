"""Which settings the demo should have: learning curves on the demo's pool, with the loop's own code and several seeds.

    python -m bench.demo_settings [--arms "random;breaking-ties"] [--seeds 8] [--first 0] [--out curves.jsonl] [--show]

Each seed draws a quarter of the demo's pool that only judges; the rest is the pool of a task. The demo's test split is
never read, so nothing is chosen on it. The controller and the jobs run over a store in memory, with the demo's
annotator, who sometimes errs and discards. All arms of a seed have the same texts. Each curve is appended to ``--out``
as soon as it is there, and one that the file has is not computed again. It prints the accuracy with so many labels
(hold-out included), the differences to the arm ``random`` in points with their 90 % intervals (Student's t over the
seeds), and how many labels that arm needs for the same accuracy. It has no bar.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.texts import paired
from bench.turning import Turning
from examples.support.annotator import known_answers, response
from examples.support.demo import HERE
from tornio.models.port import Embedded, Model, TextEncoder
from tornio.records import Record
from tornio.registry import Registry
from tornio.schemas.registry import EncoderUse
from tornio.simulation.summary import isotonic, needed
from tornio.spec import TaskSpec
from tornio.specfile import read_spec

OUT = Path(tempfile.gettempdir()) / "tornio-demo-settings.jsonl"
JUDGES = 0.25
"""Share of the demo's pool that judges, another one for each seed."""
AT = (0, 20, 40, 60, 80, 100, 115, 160, 230)
"""Numbers of labels of the table. Between two batches the accuracy is read off a straight line."""
RANDOM = "random"
TAUGHT = {"method": "distillation"}
UNTAUGHT = {"bootstrap": "none"}
ARMS: Mapping[str, Mapping[str, Any]] = {
    RANDOM: {"labels": 240, "loop": {"strategy": "random", **UNTAUGHT}},
    "breaking-ties": {"labels": 240, "loop": UNTAUGHT},
    "taught, then random": {"loop": {"strategy": "random"}, "training": TAUGHT},
    "taught, then breaking-ties": {"training": TAUGHT},
    "taught once, then breaking-ties": {},
    "taught, then badge": {"loop": {"strategy": "badge"}, "training": TAUGHT},
    "label_weight 100": {"training": {**TAUGHT, "settings": {"label_weight": 100}}},
    "batches of 10": {"loop": {"batch_size": 10}, "training": TAUGHT},
}
"""What each arm changes: of the default, the section ``loop`` and ``training``. ``labels``: how many it asks for."""
DEFAULT = {"strategy": "breaking-ties", "batch_size": 20, "cold_start": "random", "bootstrap": "teacher"}
LABELS = 120
Curve = dict[int, float]
"""Accuracy by the number of answers, hold-out included and discards not."""
Known = dict[EncoderUse, dict[str, NDArray[np.float32]]]


class Remembering:
    """A ``TextEncoder`` that embeds each text once, for all seeds and arms."""

    def __init__(self, encoder: TextEncoder, known: dict[str, NDArray[np.float32]]) -> None:
        self._encoder, self._known = encoder, known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def embed(self, texts: Sequence[str]) -> Embedded:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.embed(new).vectors, strict=True))
        vectors = np.array([self._known[text] for text in texts], dtype=np.float32).reshape(len(texts), -1)
        return Embedded(vectors.reshape(-1, self._encoder.dimension), np.zeros(len(texts), dtype=bool))


@dataclass
class Answering(Turning):
    """A task that the demo's annotator answers, with its errors and discards."""

    def answer_all(self) -> int:
        space, dataset, new = self.spec.workspace, self.spec.name, 0
        for batch in self.task.batches():
            for record in self.annotation.read(space, dataset, [item.record_id for item in batch.items]):
                if record.responses:
                    continue
                said = response(dataset, record.record_id, self.answers, self.spec.label_names)
                if said["status"] == "discarded":
                    self.annotation.discard(space, dataset, record.record_id, "a1")
                else:
                    self.annotation.answer(space, dataset, record.record_id, "a1", [said["values"]["label"]["value"]])
                new += 1
        return new


class _Hasty:
    """A clock that is a minute further each time, so that the loop never waits for the pool to be quiet."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(minutes=1)
        return self._now


def spec_of(arm: str, seed: int) -> TaskSpec:
    values, changes = read_spec((HERE / "task.yaml").read_text()).model_dump(), ARMS[arm]
    loop = {**DEFAULT, **changes.get("loop", {})}
    most = changes.get("labels", LABELS) // loop["batch_size"]
    stop = {"criterion": "max-iterations", "max_iterations": most}
    values["loop"] |= {**loop, "seed": seed, "stop": stop}
    training = changes.get("training", {"method": "supervised"})
    return TaskSpec.model_validate({**values, "name": f"seed{seed}", "training": training})


def curve(arm: str, seed: int, cache: Path, known: Known) -> Curve:
    answers = known_answers(HERE / "data" / "answers.csv")
    with (HERE / "data" / "pool.csv").open(newline="") as file:
        texts = {row["id"]: row["text"] for row in csv.DictReader(file)}
    ids = [list(texts)[row] for row in np.random.default_rng([seed, 17]).permutation(len(texts))]
    judges, pool = ids[: int(JUDGES * len(ids))], ids[int(JUDGES * len(ids)) :]
    task = Answering(spec_of(arm, seed), answers, cache, clock=_Hasty())
    assert task.context is not None
    loader = task.context.loader
    load = loader.encoder
    loader.encoder = lambda use: Remembering(load(use), known.setdefault(use, {}))  # type: ignore[method-assign,assignment,return-value]
    task.task.add_records([Record(name, texts[name]) for name in pool])
    reconciler = task.reconciler()
    while task.spec.bootstrap_method and reconciler.look().seen.current is None:  # the pool must be seen quiet first
        pass
    look = task.turn()
    assert look.standing.phase == "stopped", look.standing
    registry, found = Registry(task.store, task.task.keys), Curve()
    first = [task.task.bootstrapped()] if task.spec.bootstrap_method else []
    for one in [*first, *task.task.iterations()]:
        manifest = registry.manifest(str(one.version))
        labels = manifest.counts["training_labels"] + manifest.counts["holdout_annotators"]
        model = loader.model(manifest)
        found[labels] = _accuracy(model, [texts[name] for name in judges], [answers[name] for name in judges])
    return found


def _accuracy(model: Model, texts: Sequence[str], labels: Sequence[str]) -> float:
    said = model.predict_proba(texts).argmax(axis=1)
    return float(np.mean([model.labels[a] == label for a, label in zip(said, labels, strict=True)]))


def show(file: Path) -> None:
    """Print the table of the curves in the file."""
    curves: dict[str, dict[int, Curve]] = {}
    for row in map(json.loads, file.read_text().splitlines()):
        points = {int(labels): accuracy for labels, accuracy in row["curve"].items()}
        curves.setdefault(row["arm"], {})[row["seed"]] = points
    base = curves.get(RANDOM, {})
    for arm, by_seed in curves.items():
        seeds = sorted(by_seed.keys() & base.keys())
        print(f"{arm} ({len(seeds)} seeds)")
        for labels in AT:
            ours, theirs = ([_at(some[seed], labels) for seed in seeds] for some in (by_seed, base))
            mean, half = paired(ours, theirs)
            against = f"{100 * mean:+.1f} +- {100 * half:.1f} points, random needs {_needed(ours, base, seeds)}"
            print(f"    {labels:3d} labels: {np.mean(ours):.3f}  {against}")


def _at(points: Curve, labels: int) -> float:
    """Return the accuracy with so many labels; NaN where the curve does not reach there."""
    return float(np.interp(labels, [*points], [*points.values()], left=np.nan, right=np.nan))


def _needed(ours: Sequence[float], base: Mapping[int, Curve], seeds: Sequence[int]) -> str:
    """Return with how many labels the random arm reaches these accuracies: the median, if it is not beyond its end."""
    found = []
    for level, seed in zip(ours, seeds, strict=True):
        labels, scores = [*base[seed]], isotonic([*base[seed].values()])
        found.append(needed(labels, scores, level) if level <= scores[-1] else np.inf)
    return f"{np.median(found):.0f} labels (median; never in {sum(np.isinf(found))} seeds)"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", default=";".join(ARMS), help="separated by semicolons (default: all)")
    parser.add_argument("--seeds", type=int, default=8, help="number of seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="file of the curves (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="print the table of the file alone")
    options = parser.parse_args(arguments)
    if not options.show:
        _run(options)
    show(options.out)
    return 0


def _run(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    known: Known = {}
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {(row["arm"], row["seed"]) for row in map(json.loads, lines)}
    with tempfile.TemporaryDirectory() as cache:
        for seed in range(options.first, options.first + options.seeds):
            for arm in options.arms.split(";"):
                if (arm, seed) in done:
                    continue
                found = curve(arm, seed, Path(cache), known)
                with options.out.open("a") as file:
                    file.write(json.dumps({"arm": arm, "seed": seed, "curve": found}) + "\n")
                print(f"{arm}, seed {seed}: " + " ".join(f"{n}:{one:.3f}" for n, one in found.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
