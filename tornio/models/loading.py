"""Load models from their manifests, and prove that they are what was trained. A process has one loader."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, RLock
from types import MappingProxyType
from weakref import WeakValueDictionary

from tornio.errors import IntegrityError, InvalidInput, NotFound, UnfitCheckpoint
from tornio.models.device import Precision
from tornio.models.device import precision as precision_for
from tornio.models.encoder import Encoder, encoder_from, load_engine
from tornio.models.engine import Engine
from tornio.models.fewshot import FewShotModel
from tornio.models.finetuned import FineTunedModel
from tornio.models.kinds import FEW_SHOT, FINE_TUNED, KINDS, LAYERED_FEW_SHOT
from tornio.models.limits import layers
from tornio.models.port import Model, ZeroShotModel
from tornio.models.pretrained import load_config
from tornio.models.probes import check_probes
from tornio.models.sources import HUB, is_address, publish_encoder, resolve_encoder
from tornio.models.teachers import teacher_kind
from tornio.registry import Encoders, NodeCache
from tornio.schemas.registry import EncoderDocument, EncoderUse, Manifest
from tornio.settings import LlmEndpoint
from tornio.spec import ClassifierSpec, MemberSpec
from tornio.storage.port import ObjectStore

LAYERS_POOLED = 4
"""How many layers a few-shot head learns from. The last layers of an encoder suit different tasks, and a regularised
head finds out which of them help. Four are two thirds of MiniLM's and a third of BERT-base's."""
_KEPT_ENCODERS = 8
"""How many uses of encoders are kept in memory. Uses of one encoder share its weights, which are freed with the last
encoder or model that has them."""


class Loader:
    """The models and encoders of one process. Threads may share it.

    ``precision``: what this machine computes in, float32 or bfloat16. ``endpoints``: the servers that teachers may ask,
    by name.
    """

    def __init__(
        self,
        store: ObjectStore,
        cache: NodeCache,
        precision: str = "auto",
        endpoints: Mapping[str, LlmEndpoint] = MappingProxyType({}),
    ) -> None:
        self.store = store
        self.endpoints = endpoints
        self.precision: Precision = precision_for(precision)
        self.cache = cache
        self._published = Encoders(store)
        self._encoders: OrderedDict[EncoderUse, Encoder] = OrderedDict()
        self._engines: WeakValueDictionary[str, Engine] = WeakValueDictionary()
        self._bases: dict[str, tuple[EncoderDocument, int]] = {}
        self._models: OrderedDict[tuple[str, str, str], tuple[Manifest, Model]] = OrderedDict()
        self._teachers: dict[tuple[object, ...], ZeroShotModel] = {}
        self._encoder_lock = Lock()
        self._model_lock = Lock()
        self._teacher_lock = RLock()  # a combined teacher loads its members

    def encoder(self, use: EncoderUse) -> Encoder:
        """Return the published encoder with this use. All its uses share one copy of the weights.

        Raises NotFound, IntegrityError, Unavailable.
        """
        with self._encoder_lock:
            if use not in self._encoders:
                self._encoders[use] = self._load_encoder(use)
            self._encoders.move_to_end(use)
            while len(self._encoders) > _KEPT_ENCODERS:
                self._encoders.popitem(last=False)
            return self._encoders[use]

    def base_folder(self, use: EncoderUse) -> Path:
        """Return the folder of the published encoder's files on this node. The files must not be changed.

        Raises NotFound, IntegrityError, Unavailable.
        """
        return self.cache.folder(self._published.get(use.digest).files)

    def encoder_use(self, name: str, max_length: int) -> EncoderUse:
        """Return how to use the base model of this name.

        The model is the one that the store has under the name (``tornio encoders add``), or else the one that
        ``resolve_encoder`` finds, which is then published once. ``max_length``: tokens; the model's own limit where
        that is smaller.
        """
        document, layer = self.base(name)
        return document.use(layer, max_length)

    def layered(self, use: EncoderUse) -> EncoderUse:
        """Return the use of the same encoder with its last ``LAYERS_POOLED`` layers side by side, each of length one.

        An encoder whose configuration does not say how many layers it has is used by its last layer. Raises NotFound,
        IntegrityError, Unavailable.
        """
        depth = layers(load_config(self.base_folder(use))) or 1
        return use.evolve(layer=-1, layers=tuple(range(-min(LAYERS_POOLED, depth), 0)), normalise=True)

    def model(self, manifest: Manifest) -> Model:
        """Return the model of this manifest as ``proved`` does. The last ones of each kind are kept for later calls."""
        key = (manifest.workspace, manifest.task, manifest.version)
        with self._model_lock:
            kept = self._models.get(key)
            if kept is not None and kept[0] == manifest:
                self._models.move_to_end(key)
                return kept[1]
        model = self.proved(manifest)
        with self._model_lock:
            self._models[key] = manifest, model
            self._models.move_to_end(key)
            alike = [other for other, (kept_as, _) in self._models.items() if kept_as.kind == manifest.kind]
            for oldest in alike[: -KINDS[manifest.kind].kept]:
                del self._models[oldest]
        return model

    def teacher(self, spec: MemberSpec, classifier: ClassifierSpec) -> ZeroShotModel:
        """Return the zero-shot model of this spec, or of several together.

        Raises InvalidInput for a spec without a teacher and for a model that cannot be one, MissingPlugin for a kind
        that this release does not have, and NotFound or Unavailable where the model cannot be had.
        """
        kind = teacher_kind(spec.kind)
        name = spec.base_name(classifier)
        key = (spec.kind, name, classifier.max_length, spec.endpoint, spec.instruction, spec.combines)
        with self._teacher_lock:
            if key not in self._teachers:
                self._teachers[key] = kind.load(spec, classifier, self)
            return self._teachers[key]

    def teacher_digest(self, spec: MemberSpec, classifier: ClassifierSpec) -> str:
        """Return the digest of what ``teacher`` returns: its kind, and what its answers depend on.

        That is the base model's files, length and precision, or the endpoint and its model.

        Raises as ``teacher`` does.
        """
        return teacher_kind(spec.kind).digest(spec, classifier, self)

    def proved(self, manifest: Manifest) -> Model:
        """Return the model of this manifest, after all checks: digests, label set, finite weights, probes.

        It is not kept. Raises UnfitCheckpoint with the reason for a model that must not answer, and Unavailable where
        the store does not answer.
        """
        try:
            load = _LOADERS.get(manifest.kind)
            if load is None:
                raise UnfitCheckpoint(f"its kind is {manifest.kind!r}, which this release cannot load: upgrade Tornio")
            model = load(manifest, self)
            if model.labels != manifest.labels or model.multi_label != manifest.multi_label:
                raise UnfitCheckpoint(
                    f"it was trained for the labels {list(model.labels)}, its manifest names {list(manifest.labels)}"
                )
            check_probes(model, manifest.probes, self.precision)
            model.thresholds = _thresholds(manifest)
        except (IntegrityError, InvalidInput, NotFound) as error:
            raise UnfitCheckpoint(f"version {manifest.version} cannot serve: {error}") from error
        return model

    def base(self, name: str, translates: bool = False) -> tuple[EncoderDocument, int]:
        """Return the published base model of this name, and the layer that heads learn from. ``translates``: it is used
        to translate and not to encode."""
        with self._encoder_lock:
            if name not in self._bases:
                named = None if is_address(name) else self._published.named(name.removeprefix(HUB))
                if named is not None:
                    self._bases[name] = self._published.get(named.digest), named.layer
                else:
                    source = resolve_encoder(name)
                    document = publish_encoder(source, self._published, self.precision, translates=translates)
                    self._bases[name] = document, source.layer
            return self._bases[name]

    def _load_encoder(self, use: EncoderUse) -> Encoder:
        folder = self.base_folder(use)
        engine = self._engines.get(use.digest)
        if engine is None:
            engine = self._engines[use.digest] = load_engine(folder, self.precision)
        return encoder_from(folder, use, self.precision, engine)


def _thresholds(manifest: Manifest) -> Mapping[str, float]:
    for label, least in manifest.thresholds.items():
        if label not in manifest.labels or not 0 <= least <= 1:
            raise UnfitCheckpoint(f"its manifest has the threshold {least} for {label!r}: train again")
    return manifest.thresholds


def _few_shot(manifest: Manifest, loader: Loader) -> Model:
    use = manifest.encoder
    if use is None:
        raise UnfitCheckpoint("its manifest names no encoder: train again")
    if use.layers is not None:
        raise UnfitCheckpoint("its manifest names several layers of its encoder, and this kind has one: train again")
    return FewShotModel.load(loader.cache.folder(manifest.blobs), use, loader.encoder(use))


def _layered_few_shot(manifest: Manifest, loader: Loader) -> Model:
    use = manifest.encoder
    if use is None or use.layers is None:
        raise UnfitCheckpoint("its manifest names no layers of an encoder: train again")
    return FewShotModel.load(loader.cache.folder(manifest.blobs), use, loader.encoder(use))


def _fine_tuned(manifest: Manifest, loader: Loader) -> Model:
    if manifest.encoder is None:
        raise UnfitCheckpoint("its manifest does not say how its encoder is used: train again")
    return FineTunedModel.load(loader.cache.folder(manifest.blobs), manifest.encoder, loader.precision)


_LOADERS: Mapping[str, Callable[[Manifest, Loader], Model]] = {
    LAYERED_FEW_SHOT: _layered_few_shot,
    FEW_SHOT: _few_shot,
    FINE_TUNED: _fine_tuned,
}
"""How to load a version, by its kind: one function for each entry of ``KINDS``."""
