"""Which settings the demo should have: learning curves on the demo's pool, with the loop's own code and several seeds.

    python -m bench.demo_settings [--arms random,bootstrapped] [--seeds 10] [--first 0] [--out curves.jsonl] [--show]

Each seed draws a quarter of the demo's pool that only judges; the rest is the pool of a task. The demo's test split is
never read, so nothing is chosen on it. The controller and the jobs run over a store in memory, with the demo's
annotator, who sometimes errs and discards. All arms of a seed have the same texts. Each curve is appended to ``--out``
as soon as it is there, and one that the file has is not computed again. It prints the accuracy with so many labels
(hold-out included) and on average over the curve, the differences to the arm ``random`` in points with their 90 %
intervals (Student's t over the seeds), and how many labels the random arm needs for the same. It has no bar.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.turning import Turning
from examples.support.annotator import known_answers, response
from examples.support.demo import HERE
from tornio.models.port import Embedded, Model, TextEncoder
from tornio.records import Record
from tornio.registry import Registry
from tornio.schemas.registry import EncoderUse
from tornio.spec import TaskSpec
from tornio.specfile import read_spec

OUT = Path(tempfile.gettempdir()) / "tornio-demo-settings.jsonl"
JUDGES = 0.25
LABELS = 240
AT = (20, 40, 60, 80, 100, 120, 160, 200, 240)
TAUGHT = {"method": "distillation"}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "random": {"labels": 240, "loop": {"strategy": "random", "bootstrap": "none"}},
    "breaking-ties": {"labels": 240, "loop": {"bootstrap": "none"}},
    "typiclust-cold": {"loop": {"bootstrap": "none", "cold_start": "typiclust"}},
    "random-bootstrapped": {"loop": {"strategy": "random"}, "training": TAUGHT},
    "bootstrapped": {"loop": {}, "training": TAUGHT},
    "bootstrapped-supervised": {"loop": {}},
    "bootstrapped-typiclust": {"loop": {"strategy": "typiclust"}, "training": TAUGHT},
    "bootstrapped-badge": {"loop": {"strategy": "badge"}, "training": TAUGHT},
    "bootstrapped-mixed": {"loop": {"strategy": "mixed"}, "training": TAUGHT},
    "bootstrapped-entropy": {"loop": {"strategy": "prediction-entropy"}, "training": TAUGHT},
    "bootstrapped-balancer": {"loop": {"strategy": "class-balancer"}, "training": TAUGHT},
    "bootstrapped-30": {"loop": {}, "training": {**TAUGHT, "settings": {"label_weight": 30}}},
    "bootstrapped-100": {"loop": {}, "training": {**TAUGHT, "settings": {"label_weight": 100}}},
    "bootstrapped-10-a-batch": {"loop": {"batch_size": 10}, "training": TAUGHT},
}
"""What each arm changes in the demo's task.yaml."""
CURVES = dict[int, float]


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
    values = read_spec((HERE / "task.yaml").read_text()).model_dump()
    changes = ARMS[arm]
    values["name"] = f"seed{seed}"
    loop = {"strategy": "breaking-ties", "batch_size": 20, "cold_start": "random", "bootstrap": "teacher"}
    values["loop"] |= {**loop, "seed": seed, **changes["loop"]}
    values["loop"]["stop"] = {
        "criterion": "max-iterations",
        "max_iterations": changes.get("labels", 160) // values["loop"]["batch_size"],
    }
    values["training"] = changes.get("training", {"method": "supervised"})
    return TaskSpec.model_validate(values)


def curve(arm: str, seed: int, cache: Path, known: dict[EncoderUse, dict[str, NDArray[np.float32]]]) -> CURVES:
    """Return the accuracy by the number of answers, hold-out included."""
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
    while reconciler.look().seen.current is None and task.spec.bootstrap_method:  # the pool must be seen quiet first
        pass
    look = task.turn()
    assert look.standing.phase == "stopped", look.standing
    registry, found = Registry(task.store, task.task.keys), CURVES()
    kappas: dict[int, Any] = {}
    first = [task.task.bootstrapped()] if task.spec.bootstrap_method else []
    for one in [*first, *task.task.iterations()]:
        manifest = registry.manifest(str(one.version))
        labels = manifest.counts["training_labels"] + manifest.counts["holdout_annotators"]
        kappas[labels] = one.stop.get("kappa")
        found[labels] = _accuracy(
            loader.model(manifest), [texts[name] for name in judges], [answers[n] for n in judges]
        )
    print("kappa", arm, seed, kappas, flush=True)
    return found


def _accuracy(model: Model, texts: Sequence[str], labels: Sequence[str]) -> float:
    said = model.predict_proba(texts).argmax(axis=1)
    return float(np.mean([model.labels[a] == label for a, label in zip(said, labels, strict=True)]))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    known: dict[EncoderUse, dict[str, NDArray[np.float32]]] = {}
    done = (
        {(r["arm"], r["seed"]) for r in map(json.loads, options.out.read_text().splitlines())}
        if options.out.exists()
        else set()
    )
    with tempfile.TemporaryDirectory() as cache:
        for seed in range(options.first, options.first + options.seeds):
            for arm in options.arms.split(","):
                if (arm, seed) in done:
                    continue
                begun = time.monotonic()
                found = curve(arm, seed, Path(cache), known)
                with options.out.open("a") as file:
                    file.write(json.dumps({"arm": arm, "seed": seed, "curve": found}) + "\n")
                print(
                    f"{arm:26s} seed {seed}: {time.monotonic() - begun:.1f} s ",
                    {k: round(v, 3) for k, v in found.items()},
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
