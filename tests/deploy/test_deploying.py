"""Deploy models to a board through a real sshd, with strict host keys."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import edge_pipeline
import kits
import pytest
from edge_pipeline.errors import DeployError

from .conftest import Board

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("deploy")]

Reach = Callable[..., None]


def forget(board: Board, model: Path) -> None:
    """Remove *model* from the board's parts; other tests may have sent it."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    (board.models / ".parts" / digest).unlink(missing_ok=True)


def test_an_empty_board_gets_runtime_and_model(
    served: Board, first: edge_pipeline.DeployResult, kit: Path
) -> None:
    assert served.prediction() == 2.0
    assert first.current == served.current()
    # Nearly the whole kit went there: wheels do not shrink.
    assert first.sent_bytes > 0.9 * kit.stat().st_size
    assert first.bench["name"] == "line"
    assert re.match(r"a process of its own loaded it and predicted \d+ golden", first.trial)
    assert first.bench["timings"][0]["latency_us"]["p50"] > 0


def test_parts_on_the_board_are_not_copied_again(
    served: Board, versions: dict[float, Path], kit: Path, reach: Reach, fresh: str
) -> None:
    # Once more than needed: a test before this one may have emptied the board's parts.
    edge_pipeline.deploy(versions[2.0], ["board"], install=kit, name=fresh)
    (repeated,) = edge_pipeline.deploy(versions[2.0], ["board"], install=kit, name=fresh)
    assert (repeated.outcome, repeated.sent_bytes) == ("unchanged", 0)
    forget(served, versions[3.0])
    (newer,) = edge_pipeline.deploy(versions[3.0], ["board"], install=kit, name=fresh)
    assert newer.outcome == "deployed"
    assert newer.sent_bytes == versions[3.0].stat().st_size
    assert served.prediction(fresh) == 3.0


def test_a_rollback_answers_as_before_and_another_one_returns(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str
) -> None:
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    for answer in (2.0, 3.0, 2.0):
        (back,) = edge_pipeline.roll_back(fresh, ["board"])
        assert back.outcome == "rolled back"
        assert served.prediction(fresh) == answer
    assert back.previous == result.current
    releases = {path.name for path in (served.models / fresh / "releases").iterdir()}
    assert releases == {back.current, back.previous}


def test_the_version_before_is_kept_and_older_ones_go(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str
) -> None:
    for slope in (3.0, 4.0):
        (result,) = edge_pipeline.deploy(versions[slope], ["board"], name=fresh)
        assert result.outcome == "deployed", result.error
    releases = {path.name for path in (served.models / fresh / "releases").iterdir()}
    assert releases == {result.current, result.previous}
    edge_pipeline.roll_back(fresh, ["board"])
    assert served.prediction(fresh) == 3.0


def test_a_rollback_without_a_previous_version_is_refused(reach: Reach, fresh: str) -> None:
    (result,) = edge_pipeline.roll_back(fresh, ["board"])
    assert result.outcome == "failed"
    assert "no version before" in result.error
    (result,) = edge_pipeline.roll_back("no-such-model", ["board"])
    assert "no model no-such-model" in result.error


def test_a_model_that_the_board_refuses_is_not_switched_to(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str, tmp_path: Path
) -> None:
    """The board trusts a key, and the model is unsigned."""
    edge_pipeline.make_signing_key(tmp_path / "key.pem", password=None)
    runtime = served.models / fresh / "current/runtime/bin/edge-runtime"
    store = served.folder / "config/edge-runtime/trust"
    add = [runtime, "trust", "add", tmp_path / "key.pub.pem", "--trust-store", store]
    subprocess.run(add, check=True, capture_output=True)
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    shutil.rmtree(store)
    assert result.outcome == "failed"
    assert "unsigned" in result.error
    # It is unsigned, too: no program that starts now may load it.
    assert "nothing was switched, but the version before is refused here too" in result.error
    assert served.prediction(fresh) == 2.0


def test_a_board_without_a_runtime_is_told_to_install_a_kit(
    served: Board, versions: dict[float, Path], reach: Reach, tmp_path: Path
) -> None:
    (result,) = edge_pipeline.deploy(versions[2.0], ["board"], folder=str(tmp_path / "empty"))
    assert result.outcome == "failed"
    assert "--install KIT" in result.error
    assert not (tmp_path / "empty").exists()


def test_a_kit_for_another_board_is_refused_before_it_is_copied(
    served: Board, versions: dict[float, Path], kit: Path, reach: Reach, tmp_path: Path
) -> None:
    reach('ssh "$@" | sed s/^machine=.*/machine=aarch64/')
    empty = str(tmp_path / "empty")
    (result,) = edge_pipeline.deploy(versions[2.0], ["board"], install=kit, folder=empty)
    assert result.outcome == "failed"
    assert "it is aarch64" in result.error
    assert "x86-64" in result.error
    assert not (tmp_path / "empty").exists()


def test_a_board_with_another_python_is_told_which_kit_to_make(
    served: Board, versions: dict[float, Path], kit: Path, reach: Reach, tmp_path: Path
) -> None:
    reach("ssh \"$@\" | sed 's/^python=.*/python=3.99/; s/^installed=.*//'")
    empty = str(tmp_path / "empty")
    (result,) = edge_pipeline.deploy(versions[2.0], ["board"], install=kit, folder=empty)
    assert result.outcome == "failed"
    assert "it has Python 3.99" in result.error
    assert "--python 3.99" in result.error
    assert not (tmp_path / "empty").exists()


def test_an_unknown_host_key_is_refused_in_any_configuration(
    served: Board, versions: dict[float, Path], reach: Reach, tmp_path: Path, fresh: str
) -> None:
    lax = tmp_path / "lax"
    text = (served.folder / "ssh_config").read_text()
    lax.write_text(text.replace(f"{served.folder}/known_hosts", f"{tmp_path}/none"))
    settings = ("StrictHostKeyChecking no", "NoHostAuthenticationForLocalhost yes")
    lax.write_text(lax.read_text() + "".join(f"  {setting}\n" for setting in settings))
    reach(config=lax)
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert result.outcome == "failed"
    assert "not in known_hosts" in result.error
    assert "ssh board" in result.error
    assert not (tmp_path / "none").exists()
    assert served.prediction(fresh) == 2.0


def test_a_host_key_that_has_changed_is_refused(
    served: Board, versions: dict[float, Path], reach: Reach, tmp_path: Path, fresh: str
) -> None:
    new_key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", new_key], check=True)
    host_name = (served.folder / "known_hosts").read_text().split()[0]
    key = (tmp_path / "other.pub").read_text()
    (tmp_path / "changed").write_text(f"{host_name} {key}")
    config = tmp_path / "config"
    text = (served.folder / "ssh_config").read_text()
    config.write_text(text.replace(f"{served.folder}/known_hosts", f"{tmp_path}/changed"))
    reach(config=config)
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert "find out why" in result.error


def test_a_rejected_user_key_is_reported(
    served: Board, versions: dict[float, Path], reach: Reach, tmp_path: Path, fresh: str
) -> None:
    """ssh never asks for a password."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "mine"], check=True
    )
    config = tmp_path / "config"
    text = (served.folder / "ssh_config").read_text()
    config.write_text(text.replace(f"{served.folder}/user", f"{tmp_path}/mine"))
    reach(config=config)
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert "ssh-copy-id board" in result.error


@pytest.mark.parametrize(
    "host", ["-oProxyCommand=touch x", "", "a b", "a;touch x", "$(touch x)", "a\nb", "'a'", "`x`"]
)
def test_a_bad_address_never_reaches_ssh(
    versions: dict[float, Path], reach: Reach, tmp_path: Path, host: str
) -> None:
    reach("touch called; exit 255; ssh ")
    with pytest.raises(DeployError, match="is not a host"):
        edge_pipeline.deploy(versions[2.0], [host])
    assert not (tmp_path / "called").exists()


def test_many_hosts_are_served_and_one_that_fails_stops_no_other(
    served: Board, versions: dict[float, Path], reach: Reach, tmp_path: Path, fresh: str
) -> None:
    inventory = tmp_path / "hosts.toml"
    inventory.write_text(
        '[hosts.kitchen]\nssh = "board"\n[hosts.gone]\nssh = "nobody@127.0.0.1"\n'
        f'[hosts.cellar]\nssh = "board-2"\nfolder = "{served.models}"\n'
    )
    results = edge_pipeline.deploy(versions[3.0], inventory=inventory, name=fresh, jobs=1)
    assert [(result.host, result.outcome) for result in results] == [
        ("kitchen", "deployed"),
        ("gone", "failed"),
        ("cellar", "unchanged"),
    ]
    assert "connection failed" in results[1].error or "known_hosts" in results[1].error
    assert served.prediction(fresh) == 3.0
    rolled_back = edge_pipeline.roll_back(fresh, ["cellar"], inventory=inventory)
    assert [result.outcome for result in rolled_back] == ["rolled back"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hosts = 3", "hosts"),
        ("[hosts.a]\nssh = 3", "hosts.a.ssh"),
        ('[hosts.a]\nssh = "x"\nport = 22', "hosts.a.port"),
        ("[hosts]\n", "hosts"),
        ("= x", "not TOML"),
        ('[hosts.a]\nssh = "-oProxyCommand=x"', "is not a host"),
    ],
)
def test_a_bad_inventory_is_refused_by_its_key(
    versions: dict[float, Path], tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "hosts.toml").write_text(text)
    with pytest.raises(DeployError, match=words):
        edge_pipeline.deploy(versions[2.0], inventory=tmp_path / "hosts.toml")


def test_a_deployment_is_not_hindered_by_others_to_the_same_board(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str, tmp_path: Path
) -> None:
    """Whole ones, that clean up after themselves, between each two of its connections."""
    kit = edge_pipeline.make_kit(
        versions[3.0],
        tmp_path / "other.kit.tar.gz",
        platform="x86-64",
        python=kits.HERE,
        slim=True,
        wheels=kits.wheels_for("x86_64", kits.HERE),
    )
    forget(served, versions[3.0])
    shutil.rmtree(served.models / ".runtimes" / kit.runtime_id, ignore_errors=True)
    between: list[tuple[str, edge_pipeline.DeployResult]] = []

    def watch(host: str, step: str) -> None:
        (between_result,) = edge_pipeline.deploy(versions[4.0], ["board"], name=fresh)
        between.append((step.split()[0], between_result))

    (result,) = edge_pipeline.deploy(
        versions[3.0], ["board"], install=kit.path, name=fresh, watch=watch
    )
    assert result.outcome == "deployed", result.error
    assert [moment for moment, _ in between] == ["probing", "copying", "installing", "checking"]
    assert [between_result.error for _, between_result in between] == [""] * 4
    assert served.prediction(fresh) == 3.0
    assert result.previous == between[-1][1].current
    edge_pipeline.roll_back(fresh, ["board"])
    assert served.prediction(fresh) == 4.0


def test_parts_that_another_deployment_copies_stay(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str
) -> None:
    arriving = served.models / ".parts/.arriving-another"
    old = served.models / ".parts/.arriving-old"
    for folder in (arriving, old):
        folder.mkdir()
        (folder / ("0" * 64)).write_text("half a part")
    os.utime(old, (1, 1))
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], name=fresh)
    assert result.outcome == "deployed", result.error
    assert (arriving / ("0" * 64)).exists()
    assert not old.exists()
    shutil.rmtree(arriving)


def test_a_folder_may_have_blanks_and_quotes_in_its_name(
    served: Board, versions: dict[float, Path], reach: Reach, tmp_path: Path, fresh: str
) -> None:
    odd = tmp_path / "it's here; touch *&"
    subprocess.run(["cp", "-a", "--link", served.models, odd], check=True)
    (result,) = edge_pipeline.deploy(versions[3.0], ["board"], folder=str(odd), name=fresh)
    assert result.outcome == "deployed", result.error
    assert os.readlink(odd / fresh / "current").endswith(result.current)
    assert served.prediction(fresh) == 2.0


def test_a_folder_with_shell_syntax_is_refused_before_copying(
    versions: dict[float, Path], kit: Path, reach: Reach, tmp_path: Path
) -> None:
    folder = f"{tmp_path}/$(touch {tmp_path}/touched)"
    (result,) = edge_pipeline.deploy(versions[2.0], ["board"], install=kit, folder=folder)
    assert result.outcome == "failed"
    assert "name another folder" in result.error
    assert {path.name for path in tmp_path.iterdir()} == {"first"}


def test_the_command_prints_a_line_for_each_host(
    served: Board, versions: dict[float, Path], reach: Reach, fresh: str
) -> None:
    """It exits with 1 if one failed."""
    command = [Path(sys.executable).with_name("edge-pipeline"), "deploy"]
    model = [versions[3.0], "--name", fresh]
    process = subprocess.run(
        [*command, *model, "board"], capture_output=True, text=True, check=True
    )
    row = next(line for line in process.stdout.splitlines() if line.startswith("board "))
    assert "deployed" in row
    assert served.current(fresh).partition("-")[0] in row
    assert "board: checking the model" in process.stderr
    back = [*command, fresh, "board", "nobody@127.0.0.1", "--rollback", "--json", "-q"]
    process = subprocess.run(back, capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert [result["outcome"] for result in json.loads(process.stdout)] == ["rolled back", "failed"]
    assert served.prediction(fresh) == 2.0
