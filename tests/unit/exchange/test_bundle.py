"""What a server hands out, and what a client makes of it. Nothing computes here but the tiny encoder of a head."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.exchange.conftest import LABELS, LAYERED_FEW_SHOT, Published
from tests.unit.gateway.fake import OPERATOR, PREDICTOR, AppTransport, FakeBackend, FakeTask, app_of
from tornio.api import TaskName
from tornio.cli import main
from tornio.client import Client, streams
from tornio.errors import IntegrityError, NotFound, NotServable, Unavailable
from tornio.exchange.bundle import bundle
from tornio.exchange.source import read_source
from tornio.exchange.writers import write_version
from tornio.schemas import keys
from tornio.spec import TaskSpec

pytestmark = pytest.mark.model

SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "reviews", "labels": ["a", "b"]})


def unpacked(body: bytes, folder: Path) -> Path:
    with tarfile.open(fileobj=BytesIO(body)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def test_a_bundle_has_the_documents_the_version_and_its_shared_encoder(
    published: Published, base: Callable[..., Path]
) -> None:
    published.few_shot(base())
    made = bundle(published.task)
    assert made.version == "v0001-a"
    with tarfile.open(fileobj=BytesIO(b"".join(made.tar))) as tar:
        names = tar.getnames()
    assert names[:4] == ["manifest.json", "spec.json", "iteration.json", "base.json"]
    assert {"model/head.safetensors", "encoder/model.safetensors", "encoder/tokenizer.json"} <= set(names)


def test_a_fine_tuned_version_comes_without_its_base(published: Published, base: Callable[..., Path]) -> None:
    published.fine_tuned(base(), normalise=False)
    with tarfile.open(fileobj=BytesIO(b"".join(bundle(published.task, "v0001-a").tar))) as tar:
        names = tar.getnames()
    assert "model/model.safetensors" in names
    assert not [name for name in names if name.startswith("encoder/")]


@pytest.mark.parametrize("cut", ["README.md", "LICENSE"])
def test_a_fine_tuned_version_comes_with_the_licence_of_its_base(
    published: Published, base: Callable[..., Path], cut: str
) -> None:
    folder = base()
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    (folder / "LICENSE").write_text("You may.")
    published.fine_tuned(folder, normalise=False)
    assert published.source().licence == "apache-2.0"
    (published.folder / "unpacked" / "encoder" / cut).unlink()
    with pytest.raises(Unavailable, match=f"ended before {cut}"):
        read_source(published.folder / "unpacked")


def test_what_is_not_there_is_said(published: Published, base: Callable[..., Path]) -> None:
    with pytest.raises(NotServable, match="has no version yet"):
        bundle(published.task)
    manifest = published.few_shot(base())
    for version in ("v9", "previous"):
        with pytest.raises(NotFound, match="tornio versions acme/reviews"):
            bundle(published.task, version)
    published.store.put(keys.blob(manifest.blobs["head.json"].sha256), b"{}")
    with pytest.raises(IntegrityError, match=r"head\.json"):
        b"".join(bundle(published.task).tar)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_stream_is_noticed(published: Published, base: Callable[..., Path], tmp_path: Path, share: float) -> None:
    published.few_shot(base())
    whole = b"".join(bundle(published.task).tar)
    cut = whole[: int(share * len(whole))]
    folder = tmp_path / "got"

    def get() -> None:
        streams.unpack(BytesIO(cut), folder)
        read_source(folder)

    with pytest.raises(Unavailable, match="ended"):
        get()


@pytest.fixture
def tornio(
    published: Published, base: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """The command line over a server that hands out a layered version."""
    published.few_shot(base(), LAYERED_FEW_SHOT, layers=(-2, -1), normalise=True)
    backend = FakeBackend({TaskName("acme", "reviews"): FakeTask(SPEC)})
    backend.serve("acme/reviews", "v2", 2, "v1")
    backend.exported = b"".join(bundle(published.task).tar)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: str, key: str = OPERATOR) -> int:
        def opened(url: str | None) -> Client:
            return Client(url or "http://tornio", key, transport=AppTransport(app_of(backend)), retry_seconds=0)

        return main(["export", "model", "acme/reviews", *words], opened)

    return run


def test_a_user_takes_a_version_away(
    tornio: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert tornio("-o", "reviews") == 0
    assert "wrote version v0001-a of acme/reviews to reviews" in capsys.readouterr().out
    folder = tmp_path / "reviews"
    assert {"README.md", "tornio.json", "config.json", "head.safetensors"} <= {path.name for path in folder.iterdir()}
    assert tornio("-o", "reviews") == 1
    assert "is not an empty folder" in capsys.readouterr().err
    assert tornio("-o", "other", "--version", "v9") == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "either --output FOLDER or --push hub:NAME"),
        (("-o", "a", "--push", "hub:b"), "either --output FOLDER or --push hub:NAME"),
        (("--push", "acme/b"), "--push takes hub:NAME"),
        (("--push", "hub:a/b/c"), "not a valid name of a model"),
    ],
)
def test_wrong_usage_is_said(
    tornio: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert tornio(*words) != 0
    assert said in capsys.readouterr().err


def test_only_an_operator_takes_a_version_away(tornio: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert tornio("-o", "reviews", key=PREDICTOR) == 1
    assert "This needs a key with the role 'operate'" in capsys.readouterr().err


def test_a_version_is_pushed_to_the_hub(
    tornio: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub import RepoUrl, constants

    calls: list[tuple[str, Any]] = []

    class FakeApi:
        def __init__(self, token: str) -> None:
            calls.append(("token", token))

        def create_repo(self, name: str, **options: object) -> RepoUrl:
            calls.append((name, options))
            return RepoUrl(f"https://huggingface.co/potter/{name}")

        def upload_folder(self, *, folder_path: Path, repo_id: str, **_: object) -> None:
            calls.append((repo_id, sorted(path.name for path in Path(folder_path).iterdir())))

    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    assert tornio("--push", "hub:reviews") == 1
    assert "HF_HUB_OFFLINE" in capsys.readouterr().err
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False)
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    assert tornio("--push", "hub:reviews", "--json") == 0
    assert "potter/reviews" in capsys.readouterr().out
    (_, token), (name, options), (where, files) = calls
    assert (token, name, options["private"], where) == ("hf_made_up", "reviews", True, "potter/reviews")
    assert {"README.md", "model.safetensors"} <= set(files)


def test_the_card_says_where_the_version_comes_from(
    published: Published, base: Callable[..., Path], tmp_path: Path
) -> None:
    folder = base()
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    published.few_shot(folder, layer=-1)
    out = tmp_path / "out"
    out.mkdir()
    write_version(published.source(), out)
    card = (out / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "apache-2.0"
    assert front["pipeline_tag"] == "text-classification"
    for label in LABELS:
        assert f"`{label}`" in card
    assert "About \\*refund\\*" in card
    for said in ("40 labelled texts", "On 50 labelled texts", "0.840 (95 % interval 0.710 to 0.920)", "v0001-a"):
        assert said in card
    assert "temperature 1.5" in card
