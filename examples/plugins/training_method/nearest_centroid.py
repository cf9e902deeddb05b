"""A training method: a text belongs to the class whose mean embedding is nearest."""

from pathlib import Path

import numpy as np

from tornio.errors import InvalidInput
from tornio.models.fewshot import FewShotModel
from tornio.models.head import LinearHead
from tornio.models.kinds import FEW_SHOT
from tornio.spec import Spec, setting
from tornio.training.hooks import Hooks
from tornio.training.methods.port import Facts, Inputs, TrainingMethod
from tornio.training.targets import UNSEEN_LOGIT, check_sufficient, decided


class Settings(Spec):
    sharpness: float = setting(10.0, gt=0, change="next iteration", doc="Factor of the logits. Default 10.")


class NearestCentroid(TrainingMethod[Settings]):
    name = "nearest-centroid"
    settings = Settings
    kinds = (FEW_SHOT,)

    def cost(self, facts: Facts) -> float:
        return facts.not_embedded  # embedding the pool is the only work of a model

    def fit(self, inputs: Inputs[Settings], out: Path, hooks: Hooks) -> FewShotModel:
        if inputs.multi_label:
            raise InvalidInput("nearest-centroid gives one label to each text. Set multi_label to false.")
        data = inputs.labelled
        check_sufficient(decided(data.targets, False), inputs.label_names, False)
        vectors = inputs.embeddings(data.record_ids)  # float32 [n, dim]
        shares = data.targets * data.weights[:, None]  # float32 [n, labels]
        totals = shares.sum(axis=0)
        means = shares.T @ vectors / np.maximum(totals, 1e-9)[:, None]
        sharpness = inputs.settings.sharpness
        # The nearest mean is the one with the largest  mean . x - |mean|^2 / 2,  which is a linear head.
        bias = np.where(totals > 0, -sharpness / 2 * (means**2).sum(axis=1), UNSEEN_LOGIT)
        head = LinearHead(
            labels=inputs.label_names,
            multi_label=False,
            weight=np.asarray(sharpness * means, dtype=np.float32),
            bias=np.asarray(bias, dtype=np.float32),
            metrics={"examples": float(len(data))},
        )
        model = FewShotModel(head, inputs.use, inputs.encoder)
        model.save(out)
        return model


METHOD = NearestCentroid()
