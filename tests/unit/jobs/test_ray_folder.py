"""Ray's folder is its owner's alone, and Serve's replicas listen on loopback."""

import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from jobs.running import ray_folder
from services.loopback import local

pytestmark = pytest.mark.unit


def test_ray_works_in_the_state_folder() -> None:
    with TemporaryDirectory(prefix="t") as name:  # tmp_path is too long at times
        state = Path(name)
        (state / "ray" / "session_latest").mkdir(parents=True)
        assert ray_folder.fresh(state) == state.resolve()
        assert list((state / "ray").iterdir()) == []
        assert stat.S_IMODE((state / "ray").stat().st_mode) == 0o700


def test_a_long_path_leads_to_a_short_folder_of_the_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / ("long" * 20)
    state.mkdir()
    first = ray_folder.fresh(state)
    assert len(str(first)) < 38
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert (state / "ray").resolve() == first / "ray"
    second = ray_folder.fresh(state)
    assert not first.exists()
    assert second.exists()
    ray_folder.remove(state)
    assert not second.exists()


def test_a_long_folder_of_temporary_files_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, temporary = tmp_path / ("long" * 20), tmp_path / ("temporary" * 7)
    state.mkdir()
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert len(str(ray_folder.fresh(state) / ray_folder.NAME)) <= ray_folder.LONGEST
    ray_folder.remove(state)


def test_the_token_is_new_each_time_and_its_owner_s_alone(tmp_path: Path) -> None:
    tokens = list[str]()
    for _ in range(2):
        made = ray_folder.private(tmp_path)
        token = Path(made["RAY_AUTH_TOKEN_PATH"])
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        tokens.append(token.read_text())
    assert made["RAY_AUTH_MODE"] == "token"
    assert len(set(tokens)) == 2
    assert all(len(one) == 64 for one in tokens)
    ray_folder.remove(tmp_path)


def test_a_link_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    state, precious = tmp_path / ("long" * 20), tmp_path / "precious" / "ray"
    state.mkdir()
    precious.mkdir(parents=True)
    (state / "ray").symlink_to(precious)
    ray_folder.fresh(state)
    ray_folder.remove(state)
    assert precious.exists()


@pytest.mark.parametrize(
    ("asked", "bound"), [("[::]:0", "127.0.0.1:0"), ("[::]:9000", "127.0.0.1:9000"), ("10.0.0.1:0", "10.0.0.1:0")]
)
def test_servers_on_all_addresses_become_local(asked: str, bound: str) -> None:
    assert local(asked) == bound
