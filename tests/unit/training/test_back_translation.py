"""Back-translation: what transformers writes, once, in parts, shared, and read by a network that lacks its words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.groups import Interrupted, Threads
from tests.learning import NAMES, examples, logits, next_folder
from tests.translators import FURTHER, tiny_t5
from tornio.errors import InvalidInput
from tornio.models.pretrained import load_translator
from tornio.models.translating import Drawn, Translator, is_translator, prove_translator
from tornio.pool.written_views import WrittenViews
from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import EncoderUse
from tornio.spec import ClassifierSpec
from tornio.storage.memory import MemoryStore
from tornio.training.augmenting import back_translation, cost_of_writing
from tornio.training.augmenting.back_translation import BackTranslation, BackTranslationSettings, translated
from tornio.training.consistency.settings import ConsistencySettings
from tornio.training.group import Alone
from tornio.training.hooks import Hooks
from tornio.training.methods import METHODS
from tornio.training.methods.port import Unlabelled
from tornio.training.targets import Labelled

pytestmark = pytest.mark.model
GREEDY: dict[str, Any] = {"prefix": "", "temperature": 0, "new_tokens": 6}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("there"), seed=1)


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_t5(tmp_path_factory.mktemp("back"), seed=2)


@dataclass
class Table:
    """A ``Desk`` over a store; ``ends``: after so many parts the training is killed."""

    store: MemoryStore = field(default_factory=MemoryStore)
    group: Any = field(default_factory=Alone)
    ends: int = 1000
    precision: Any = "float32"
    kept: list[int] = field(default_factory=list)
    reports: list[tuple[int, int]] = field(default_factory=list)

    def translator(self, name: str) -> tuple[Path, str]:
        return Path(name), name

    def read(self, purpose: str) -> dict[str, tuple[str, ...]]:
        return self._views(purpose).read()

    def keep(self, purpose: str, variants: Mapping[str, Sequence[str]]) -> None:
        if len(self.kept) == self.ends:
            raise Interrupted
        self.kept.append(len(variants))
        self._views(purpose).keep(variants)

    def progress(self, done: int, total: int) -> None:
        self.reports.append((done, total))

    def _views(self, purpose: str) -> WrittenViews:
        return WrittenViews(self.store, TaskKeys("w", "t"), purpose)


def settings_of(there: Path, back: Path, **changes: Any) -> BackTranslationSettings:
    return BackTranslationSettings.model_validate({"there": str(there), "back": str(back), "new_tokens": 8, **changes})


def texts_of(count: int) -> list[str]:
    return [f"{text} or {i}" for i, text in enumerate(examples(count, seed=1)[0])]


# Translating


def test_at_temperature_0_it_writes_what_transformers_does(there: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    texts = texts_of(70)
    tokenizer: Any = AutoTokenizer.from_pretrained(there)
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(there).eval()
    wanted = []
    for text in texts:
        ids = model.generate(**tokenizer(["the " + text], return_tensors="pt"), num_beams=1, max_new_tokens=6)
        wanted += tokenizer.batch_decode(ids, skip_special_tokens=True)
    made = Translator(there, "float32").translate(texts, **{**GREEDY, "prefix": "the "}, seeds=[0] * 70)
    assert made == [text.strip() for text in wanted]
    assert len(set(made)) > 1


def test_a_draw_follows_the_probabilities() -> None:
    """With 4,000 draws the standard error of a share is at most .008."""
    logits_ = torch.tensor([1.0, 0.0, -1.0, -torch.inf])
    drawn = Drawn(0.5, range(4000), torch.device("cpu"))(torch.zeros(0), logits_.expand(4000, 4))
    shares = np.bincount(drawn.argmax(1).numpy(), minlength=4) / 4000
    np.testing.assert_allclose(shares, (logits_ / 0.5).softmax(0).numpy(), atol=0.04)


def test_a_translation_depends_on_its_text_and_seed_alone(there: Path) -> None:
    translator, texts = Translator(there, "float32"), texts_of(40)
    drawn: dict[str, Any] = {"prefix": "", "temperature": 1.0, "new_tokens": 8}
    together = translator.translate(texts, **drawn, seeds=range(40))
    alone = [translator.translate([text], **drawn, seeds=[seed])[0] for seed, text in enumerate(texts)]
    assert together == alone
    assert together != translator.translate(texts, **drawn, seeds=range(1, 41))


def test_views_are_translated_twice(there: Path, back: Path) -> None:
    texts = texts_of(6)
    models = [Translator(there, "float32"), Translator(back, "float32")]
    views = translated(texts, models, settings_of(there, back, temperature=0, variants=3, back_prefix="about "))
    first = models[0].translate(texts, **{**GREEDY, "new_tokens": 8}, seeds=[0] * 6)
    for text, middle in zip(texts, first, strict=True):
        (end,) = models[1].translate([middle], **{**GREEDY, "prefix": "about ", "new_tokens": 8}, seeds=[0])
        assert views[text] == ([end] if middle and end else []), "without draws all variants are alike"
    assert any(views.values())
    several = translated(texts, models, settings_of(there, back, temperature=1.5, variants=3))
    assert any(len(set(each)) > 1 for each in several.values())


# What cannot be used


def test_what_cannot_translate_is_refused(there: Path, tiny_base: Path, tmp_path: Path) -> None:
    assert is_translator(there)
    assert not is_translator(tiny_base)
    prove_translator(there, "float32")
    with pytest.raises(InvalidInput, match=r"a model of the kind 'bert', which does not translate.*T5"):
        Translator(tiny_base, "float32")
    pickled = Path(shutil.copytree(there, tmp_path / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"no \.safetensors file, and other weights are never loaded"):
        Translator(pickled, "float32")
    partial = tiny_t5(tmp_path / "partial", num_layers=1)
    config = json.loads((partial / "config.json").read_text())
    (partial / "config.json").write_text(json.dumps({**config, "num_layers": 2, "num_decoder_layers": 2}))
    with pytest.raises(InvalidInput, match="it lacks"):
        Translator(partial, "float32")


@pytest.mark.parametrize("kind", ["Marian", "Bart", "MBart"])
def test_models_of_other_architectures_are_loaded_whole(kind: str, tmp_path: Path) -> None:
    import transformers

    sizes = {"d_model": 16, "vocab_size": 40, "max_position_embeddings": 64, "pad_token_id": 1, "eos_token_id": 2}
    for side in ("encoder", "decoder"):
        sizes |= {f"{side}_layers": 1, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 16}
    config = getattr(transformers, f"{kind}Config")(**sizes, decoder_start_token_id=1, forced_eos_token_id=2)
    names = {"Marian": "MarianMTModel"}
    model = getattr(transformers, names.get(kind, f"{kind}ForConditionalGeneration"))(config)
    model.save_pretrained(tmp_path)
    loaded = load_translator(tmp_path, "float32")
    ids = torch.tensor([[5, 6, 7, 2]])
    greedy = {"num_beams": 1, "max_new_tokens": 5}
    assert torch.equal(loaded.generate(ids, **greedy), model.eval().generate(ids, **greedy))


def test_a_tokenizer_that_needs_a_package_names_it(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    def refuse(*_: Any, **__: Any) -> Any:
        raise ImportError("MarianTokenizer requires the SentencePiece library but it was not found")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", refuse)
    monkeypatch.setattr("tornio.models.translating.find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match=r"needs the package sentencepiece.*pip install sentencepiece"):
        Translator(there, "float32")


# Writing


def test_it_is_written_once_in_parts_and_resumed(there: Path, back: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_translation, "PART", 8)
    texts, settings, way = texts_of(30), settings_of(there, back, temperature=1), BackTranslation()
    undisturbed = way.write(texts, settings, Table())
    assert list(undisturbed) == texts
    table = Table(ends=2)
    with pytest.raises(Interrupted):
        way.write(texts, settings, table)
    resumed = Table(table.store)
    assert way.write(texts, settings, resumed) == undisturbed
    assert (table.kept, resumed.kept) == ([8, 8], [8, 6])
    assert resumed.reports == [(8, 14), (14, 14)]
    later = Table(table.store)
    assert way.write(texts[5:], settings, later) == {text: undisturbed[text] for text in texts[5:]}
    assert later.kept == []
    others = Table(table.store)
    way.write(texts[:3], settings_of(there, back, temperature=0.9), others)
    assert others.kept == [3], "other settings, other views"


def test_workers_share_the_texts(there: Path, back: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_translation, "PART", 8)
    texts, settings = texts_of(30), settings_of(there, back)
    store, barrier, shared = MemoryStore(), Barrier(2), dict[int, list[Tensor]]()
    tables = [Table(store, Threads(rank, 2, barrier, shared)) for rank in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda table: BackTranslation().write(texts, settings, table), tables)
    assert first == second == BackTranslation().write(texts, settings, Table())
    assert [table.kept for table in tables] == [[8, 8], [8, 6]]


def test_a_damaged_part_is_written_again(there: Path, back: Path) -> None:
    texts, settings, table = texts_of(4), settings_of(there, back), Table()
    before = BackTranslation().write(texts, settings, table)
    (info,) = table.store.list("")
    table.store.put(info.key, b"damaged")
    assert BackTranslation().write(texts, settings, table) == before
    assert table.kept == [4, 4]


# Training


@dataclass
class Given:
    base: Path
    use: EncoderUse
    settings: ConsistencySettings
    table: Table = field(default_factory=Table)
    labelled: Labelled = field(default_factory=lambda: Labelled.of(*examples(18), NAMES, False))
    classifier: ClassifierSpec = field(
        default_factory=lambda: ClassifierSpec.model_validate({"kind": "fine-tuned", "fine_tuning": {}})
    )
    seed: int = 0
    label_names = NAMES
    multi_label = False
    precision = "float32"

    @property
    def unlabelled(self) -> Unlabelled:
        texts = tuple(texts_of(40))
        return Unlabelled(texts, texts)

    def desk(self, group: Any) -> Table:
        self.table.group = group
        return self.table


def given(base: Path, use: EncoderUse, there: Path, back: Path, **changes: Any) -> Given:
    ways = {"back-translation": settings_of(there, back, **changes).model_dump(mode="json"), "word-dropout": {}}
    values = {"steps": 20, "batch_size": 4, "ratio": 2, "guard": 0, "augmentations": ways}
    return Given(base, use, ConsistencySettings.model_validate(values))


def test_a_network_reads_words_that_only_the_views_have(
    tiny_base: Path, use: EncoderUse, there: Path, back: Path, tmp_path: Path
) -> None:
    method: Any = METHODS.get("consistency")
    inputs = given(tiny_base, use, there, back, temperature=1)
    first = method.fit(inputs, next_folder(tmp_path), Hooks())
    again = method.fit(inputs, next_folder(tmp_path), Hooks())
    np.testing.assert_array_equal(logits(first), logits(again))
    assert first.head.metrics["without_view"] < 20
    assert inputs.table.kept == [18 + 40 - (18 + 40 - len({*inputs.labelled.texts, *inputs.unlabelled.texts}))]
    (purpose,) = {info.key.rsplit("/", 1)[0] for info in inputs.table.store.list("")}
    written = WrittenViews(inputs.table.store, TaskKeys("w", "t"), purpose.rsplit("/", 1)[1]).read()
    assert any(word in view for views in written.values() for view in views for word in FURTHER[:3])


def test_a_text_of_which_nothing_is_written_is_its_own_view(
    tiny_base: Path, use: EncoderUse, there: Path, tmp_path: Path
) -> None:
    silent = tiny_t5(tmp_path / "silent", writes="</s>")
    inputs = given(tiny_base, use, there, silent)
    method: Any = METHODS.get("consistency")
    out = tmp_path / "out"
    out.mkdir()
    model = method.fit(inputs, out, Hooks())
    every = {*inputs.labelled.texts, *inputs.unlabelled.texts}
    assert model.head.metrics["without_view"] == len(every)


def test_writing_counts_in_the_cost(there: Path, back: Path) -> None:
    ways = {"tf-idf": {}, "back-translation": {"there": "a", "back": "b", "variants": 2}}
    assert cost_of_writing({"tf-idf": {}}) == 0
    assert cost_of_writing(ways) == 2 * back_translation.PASSES
