"""The loader: only what proves to be what was trained may answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tornio.errors import InvalidInput, UnfitCheckpoint
from tornio.models.combined import combine
from tornio.models.device import Precision
from tornio.models.encoder import load_engine
from tornio.models.fewshot import FewShotModel
from tornio.models.head import LinearHead
from tornio.models.kinds import FEW_SHOT, LAYERED_FEW_SHOT
from tornio.models.loading import LAYERS_POOLED, Loader
from tornio.models.probes import make_probes
from tornio.registry import NodeCache, Registry
from tornio.schemas import keys
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import EncoderUse, Manifest, Probes
from tornio.spec import ClassifierSpec, LabelSpec, MemberSpec, TeacherSpec
from tornio.storage.memory import MemoryStore
from tornio.training.fewshot import fit_few_shot

pytestmark = pytest.mark.model

EXAMPLES = {
    "I was charged twice this month": "billing",
    "Please refund my last invoice": "billing",
    "Why is my bill higher than before?": "billing",
    "The app crashes when I open it": "bug",
    "Saving a file shows an error": "bug",
    "The page stays blank after login": "bug",
}
LABELS = ("billing", "bug", "praise")


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="module")
def loader(store: MemoryStore, tmp_path_factory: pytest.TempPathFactory) -> Loader:
    return Loader(store, NodeCache(tmp_path_factory.mktemp("cache"), store), "float32")


@pytest.fixture(scope="module")
def use(loader: Loader) -> EncoderUse:
    return loader.encoder_use("minilm", 32)


@pytest.fixture(scope="module")
def published(
    store: MemoryStore, loader: Loader, use: EncoderUse, tmp_path_factory: pytest.TempPathFactory
) -> Manifest:
    """A version as a training run publishes it."""
    encoder = loader.encoder(use)
    vectors = encoder.embed(list(EXAMPLES)).vectors
    head = fit_few_shot(vectors, [(label,) for label in EXAMPLES.values()], LABELS, False, seed=0)
    model = FewShotModel(head, use, encoder)
    folder = tmp_path_factory.mktemp("model")
    model.save(folder)
    manifest = Manifest(
        version="v0001-abc",
        workspace="support",
        task="tickets",
        kind=FEW_SHOT,
        generation=1,
        iteration=1,
        labels=LABELS,
        label_set_rev=1,
        multi_label=False,
        encoder=use,
        blobs={},
        probes=make_probes(model, loader.precision),
        run="train-1",
        label_seq=1,
        pool_seq=1,
        spec_rev=1,
        seed=0,
        software={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Registry(store, TaskKeys("support", "tickets")).publish(manifest, folder)


def test_a_sound_version_answers(loader: Loader, published: Manifest) -> None:
    model = loader.model(published)
    assert model.labels == LABELS
    assert model.predict_proba(["an error message", "money back"]).argmax(axis=1).tolist() == [1, 0]
    assert loader.model(published) is model
    assert not model.thresholds


def test_a_version_decides_by_the_thresholds_of_its_manifest(loader: Loader, published: Manifest) -> None:
    model = loader.model(published.evolve(version="v0003-cut", thresholds={LABELS[0]: 0.2}))
    assert model.thresholds == {LABELS[0]: 0.2}


def test_a_layered_version_answers(
    store: MemoryStore, loader: Loader, use: EncoderUse, published: Manifest, tmp_path: Path
) -> None:
    layered = loader.layered(use)
    assert layered.pooled == tuple(range(-LAYERS_POOLED, 0))
    encoder = loader.encoder(layered)
    vectors = encoder.embed(list(EXAMPLES)).vectors
    head = fit_few_shot(vectors, [(label,) for label in EXAMPLES.values()], LABELS, False, seed=0)
    model = FewShotModel(head, layered, encoder)
    model.save(tmp_path)
    manifest = published.evolve(
        version="v0004-deep", kind=LAYERED_FEW_SHOT, encoder=layered, probes=make_probes(model, loader.precision)
    )
    served = loader.model(Registry(store, TaskKeys("support", "tickets")).publish(manifest, tmp_path))
    assert served.predict_proba(["an error message", "money back"]).argmax(axis=1).tolist() == [1, 0]
    assert served.shared_encoder == layered


def test_an_encoder_that_does_not_say_how_deep_it_is_is_used_by_its_last_layer(
    loader: Loader, use: EncoderUse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornio.models.loading.layers", lambda _config: None)
    assert loader.layered(use).pooled == (-1,)


def test_a_restarted_process_loads_the_same(store: MemoryStore, published: Manifest, tmp_path: Path) -> None:
    fresh = Loader(store, NodeCache(tmp_path, store), "float32")
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(fresh.model, [published] * 4))
    assert {tuple(m.predict_proba(["an error message"])[0].round(4)) for m in models} == {
        tuple(models[0].predict_proba(["an error message"])[0].round(4))
    }


def test_bfloat16_passes_the_probes_of_a_float32_training(
    store: MemoryStore, published: Manifest, tmp_path: Path
) -> None:
    coarse = Loader(store, NodeCache(tmp_path, store), "bfloat16")
    assert coarse.model(published).labels == LABELS


def shifted(probes: Probes, by: float) -> Probes:
    return probes.evolve(logits=[[value + by for value in row] for row in probes.logits])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: {"labels": ("bug", "billing", "praise")}, "was trained for the labels"),
        (lambda m: {"multi_label": True}, "was trained for"),
        (lambda m: {"kind": "from-the-future"}, "upgrade Tornio"),
        (lambda m: {"encoder": None}, "names no encoder"),
        (lambda m: {"encoder": m.encoder.evolve(layers=(-2, -1))}, "names several layers"),
        (lambda m: {"kind": LAYERED_FEW_SHOT}, "names no layers"),
        (lambda m: {"thresholds": {"nonsense": 0.2}}, "threshold 0.2 for 'nonsense'"),
        (lambda m: {"thresholds": {LABELS[0]: float("nan")}}, "threshold nan"),
        (lambda m: {"encoder": m.encoder.evolve(pooling="cls")}, "outputs for the probes differ"),
        (lambda m: {"encoder": m.encoder.evolve(digest="f" * 64)}, "f{64}"),
        (lambda m: {"probes": shifted(m.probes, 0.1)}, "outputs for the probes differ"),
        (lambda m: {"probes": shifted(m.probes, float("nan"))}, "outputs for the probes differ"),
        (lambda m: {"probes": m.probes.evolve(texts=(), logits=())}, "no usable probes"),
        (lambda m: {"probes": m.probes.evolve(tolerance={"bfloat16": 1.0})}, "no tolerance for float32"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    loader: Loader, published: Manifest, change: Callable[[Manifest], dict[str, object]], reason: str
) -> None:
    with pytest.raises(UnfitCheckpoint, match=reason):
        loader.model(published.evolve(version="v0002-bad", **change(published)))


@pytest.mark.parametrize("spoil", [lambda body: body[:-10], lambda body: bytes([body[0] ^ 1]) + body[1:], None])
def test_a_blob_that_is_not_what_its_digest_says_is_refused(
    published: Manifest, store: MemoryStore, tmp_path: Path, spoil: Callable[[bytes], bytes] | None
) -> None:
    broken = MemoryStore()
    for info in store.list(""):
        broken.put(info.key, store.get(info.key).body)
    key = keys.blob(published.blobs["head.safetensors"].sha256)
    if spoil is None:
        broken.delete([key])
    else:
        broken.put(key, spoil(broken.get(key).body))
    with pytest.raises(UnfitCheckpoint, match=published.version):
        Loader(broken, NodeCache(tmp_path, broken), "float32").model(published)


def test_a_head_with_nan_is_refused_although_its_digest_is_right(
    store: MemoryStore, loader: Loader, published: Manifest, tmp_path: Path
) -> None:
    LinearHead(LABELS, False, np.full((3, 384), np.nan, np.float32), np.zeros(3, np.float32)).save(tmp_path)
    manifest = published.evolve(version="v0003-nan")
    poisoned = Registry(store, TaskKeys("support", "tickets")).publish(manifest, tmp_path)
    with pytest.raises(UnfitCheckpoint, match=r"v0003-nan.*not all finite"):
        loader.model(poisoned)


def test_users_of_one_encoder_share_it(loader: Loader, use: EncoderUse, published: Manifest) -> None:
    assert loader.encoder(use) is loader.encoder(EncoderUse.model_validate(use.model_dump()))
    assert loader.encoder_use("minilm", 4096).max_length == 256  # the model's own limit


def test_other_uses_of_one_encoder_share_its_weights(
    store: MemoryStore, use: EncoderUse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []

    def counted(folder: Path, precision: Precision) -> Any:
        loaded.append(folder)
        return load_engine(folder, precision)

    monkeypatch.setattr("tornio.models.loading.load_engine", counted)
    fresh = Loader(store, NodeCache(tmp_path, store), "float32")
    for layer in range(-6, 0):
        for length in (16, 32):
            fresh.encoder(use.evolve(layer=layer, max_length=length))
    assert len(loaded) == 1
    long, short = (fresh.encoder(use.evolve(layer=-1, max_length=n)) for n in (32, 4))
    text = ["Why is my bill higher than before?"]
    assert (long.embed(text).truncated.tolist(), short.embed(text).truncated.tolist()) == ([False], [True])


def test_the_teacher_that_a_spec_asks_for(loader: Loader, nli_folder: Path) -> None:
    embedding = loader.teacher(TeacherSpec(), ClassifierSpec(max_length=32))
    assert embedding is loader.teacher(TeacherSpec(), ClassifierSpec(max_length=32))
    assert embedding.name == "teacher:embedding:sentence-transformers/all-MiniLM-L6-v2"
    nli = loader.teacher(TeacherSpec(kind="nli", model=str(nli_folder)), ClassifierSpec())
    labels = [LabelSpec(name=name) for name in LABELS]
    for teacher in (embedding, nli):
        assert teacher.score(["charged twice"], labels, ("{}",)).probabilities.shape == (1, 3)
    with pytest.raises(InvalidInput, match=r"teacher\.kind"):
        loader.teacher(TeacherSpec(kind="none"), ClassifierSpec())


def test_several_teachers_share_what_is_loaded_and_have_a_digest_of_their_own(loader: Loader, nli_folder: Path) -> None:
    classifier, labels = ClassifierSpec(max_length=32), [LabelSpec(name=name) for name in LABELS]
    entailing = MemberSpec(kind="nli", model=str(nli_folder), templates=("{}",))
    both = TeacherSpec(kind="combined", members=(MemberSpec(), entailing))
    combined = loader.teacher(both, classifier)
    assert combined.name == f"teacher:combined:embedding:sentence-transformers/all-MiniLM-L6-v2+nli:{nli_folder.name}"
    alone = [
        loader.teacher(one, classifier).score(["charged twice"], labels, one.templates).probabilities
        for one in both.members
    ]
    scores = combined.score(["charged twice"], labels, ())
    np.testing.assert_array_equal(scores.probabilities, combine(alone, False))
    np.testing.assert_allclose(scores.logits, np.log(scores.probabilities))

    def digest(*members: MemberSpec) -> str:
        return loader.teacher_digest(TeacherSpec(kind="combined", members=members), classifier)

    others = [
        (entailing, MemberSpec()),
        (MemberSpec(), MemberSpec(templates=("{}",))),
        (MemberSpec(), entailing.model_copy(update={"templates": ("On {}.",)})),
    ]
    assert len({digest(*both.members), *(digest(*members) for members in others)}) == 4
