"""Learn from labels, and from unlabelled texts, whose views should get the same label: see ``docs/consistency.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tornio.errors import InvalidInput, InvalidSpec
from tornio.models.kinds import FINE_TUNED
from tornio.seeds import derive_seed
from tornio.spec import TaskSpec
from tornio.training.augmenting import check_augmentations, cost_of_writing, write_views
from tornio.training.consistency.settings import ConsistencySettings
from tornio.training.hooks import Hooks
from tornio.training.methods.port import Facts, Inputs, TrainingMethod, check_labels
from tornio.training.methods.supervised import STEP_COST

if TYPE_CHECKING:
    from tornio.models.finetuned import FineTunedModel
    from tornio.training.consistency.goal import Consistency, TokenVariants
    from tornio.training.data import Data

REHEARSED = 2
"""Cost of a training with its rehearsals, which have half of the steps each."""


class ConsistencyTraining(TrainingMethod[ConsistencySettings]):
    """An encoder learns from labels and from unlabelled texts beside them.

    Texts of the hold-out never enter: they are neither among ``inputs.labelled`` nor among ``inputs.unlabelled``. Where
    the guard stops the training, a supervised training takes its place, and ``chosen`` of the model says why.
    """

    name = "consistency"
    settings = ConsistencySettings
    kinds = (FINE_TUNED,)

    def settings_of(self, spec: TaskSpec) -> ConsistencySettings:
        if spec.multi_label:
            raise InvalidSpec("consistency gives each text one label, and multi_label is true: choose another method")
        settings = super().settings_of(spec)
        check_augmentations(settings.augmentations)
        return settings

    def cost(self, facts: Facts) -> float:
        settings = self.settings_of(facts.spec)
        rehearses = facts.labels < facts.spec.classifier.fine_tuning.validation_from
        example = settings.way.labelled_passes * STEP_COST + settings.ratio * (1 + STEP_COST)
        steps = settings.steps * settings.batch_size * example * (REHEARSED if rehearses else 1)
        texts = facts.labels + min(facts.pool, settings.steps * settings.batch_size * settings.ratio)
        return steps + texts * cost_of_writing(settings.augmentations)

    def spreads(self, inputs: Inputs[ConsistencySettings]) -> bool:
        _usable_texts(inputs)
        return True

    def fit(self, inputs: Inputs[ConsistencySettings], out: Path, hooks: Hooks) -> FineTunedModel | None:
        return train(inputs, out, hooks)


def train(
    inputs: Inputs[ConsistencySettings], out: Path, hooks: Hooks, *, rehearse: bool = True
) -> FineTunedModel | None:
    """Train as ``ConsistencyTraining.fit`` says. ``rehearse``: see ``supervised.fit``; it costs as much once more."""
    from tornio.models.tokens import Tokenizer
    from tornio.training.consistency.goal import EPOCHS, tokenised
    from tornio.training.group import current_group
    from tornio.training.objective import Stopped
    from tornio.training.supervised import fit

    texts = _usable_texts(inputs)
    group = hooks.group or current_group()
    every = list(dict.fromkeys([*inputs.labelled.texts, *texts]))
    written = write_views(inputs.settings.augmentations, every, lambda: inputs.desk(group))
    goal = partial(_goal, inputs, tokenised(written, Tokenizer(inputs.base, inputs.use.max_length)))
    read = [view for variants in written.values() for views in variants.values() for view in views]
    tuning = inputs.classifier.fine_tuning
    own = {"batch_size": inputs.settings.batch_size, "learning_rate": inputs.settings.learning_rate}
    parts = {"epochs": EPOCHS, "patience": EPOCHS, **own}
    run = partial(
        fit, inputs.labelled, inputs.label_names, False, inputs.base, inputs.use, out,
        seed=inputs.seed, precision=inputs.precision, rehearse=rehearse,
    )  # fmt: skip
    try:
        return run(
            settings=tuning.model_copy(update=parts), hooks=hooks, objective=goal, unlabelled=texts, written=read
        )
    except Stopped as stop:
        why = f"consistency was stopped in {stop}; a supervised model takes its place"
    apart = None if hooks.checkpoints is None else hooks.checkpoints.part("supervised")
    model = run(settings=tuning, hooks=replace(hooks, checkpoints=apart))
    if model is not None:
        model.chosen = FINE_TUNED, why
    return model


def _goal(inputs: Inputs[ConsistencySettings], written: Mapping[str, TokenVariants], data: Data) -> Consistency:
    """Return the goal of a training. A rehearsal, which has a part of the labelled texts, has as many of the steps."""
    from tornio.training.consistency.goal import goal_of, whole_steps

    share = 1.0 if data.held_out is not None else len(data.train) / np.count_nonzero(inputs.labelled.weights > 0)
    steps = whole_steps(round(inputs.settings.steps * share))
    return goal_of(data, inputs.settings, steps, inputs.base, inputs.precision, inputs.seed, written)


def _usable_texts(inputs: Inputs[ConsistencySettings]) -> list[str]:
    """Return the unlabelled texts to train on: each once, and no more than the training sees, drawn at random.

    Raises InvalidInput for labels of one class, and for fewer different texts than a step needs.
    """
    check_labels(inputs)
    settings = inputs.settings
    differing = list(dict.fromkeys(text for text in inputs.unlabelled.texts if text.strip()))
    least = settings.batch_size * settings.ratio
    if len(differing) < least:
        raise InvalidInput(
            f"consistency learns from texts without a label, and a step needs {least} different ones (batch_size "
            f"{settings.batch_size} times ratio {settings.ratio} in training.settings). There are {len(differing)}, "
            f"among {len(inputs.unlabelled)} texts that are neither labelled nor held out. Add texts, lower these "
            "settings, or set training.method to supervised"
        )
    random = np.random.default_rng(derive_seed("consistency", "texts", inputs.seed))
    rows = random.permutation(len(differing))[: settings.steps * least]
    return [differing[row] for row in sorted(rows.tolist())]
