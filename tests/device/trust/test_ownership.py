"""A key counts only when nobody but root and this user can have written it."""

import grp
import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from device.trust.test_keys import KEY, OTHER
from edge_runtime.trust.keys import TrustStore, as_trusted_keys
from edge_runtime.trust.ownership import check_ownership

from edge_runtime import TrustError

STRANGER = 12_345


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "parent" / "trust"
    TrustStore(path).add(KEY.to_pem())
    TrustStore(path).revoke(OTHER.key_id)
    return path


@pytest.fixture(autouse=True)
def users(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set who is in this user's group; at first nobody is known."""

    def set_users(*others: tuple[str, int], members: Sequence[str] = (), uid: int = 1000) -> None:
        group = os.getegid()
        me = pwd.struct_passwd(("me", "x", uid, group, "", "/", "/bin/sh"))
        rest = [pwd.struct_passwd((n, "x", 2000, gid, "", "/", "/bin/sh")) for n, gid in others]
        monkeypatch.setattr(pwd, "getpwuid", lambda _: me)
        monkeypatch.setattr(pwd, "getpwall", lambda: [me, *rest])
        monkeypatch.setattr(
            grp, "getgrgid", lambda gid: grp.struct_group(("me", "x", gid, list(members)))
        )

    set_users(("guest", os.getegid()))
    return set_users


def test_a_group_without_other_members_may_write(folder: Path, users: Callable[..., None]) -> None:
    """umask 002, with Debian's groups of one user."""
    for path in (folder.parent, folder, *folder.iterdir()):
        path.chmod(path.stat().st_mode | 0o020)
    refused(folder)
    users(("other", os.getegid() + 1))
    assert TrustStore(folder).read().keys
    users(members=["me"])
    assert TrustStore(folder).read().keys
    users(members=["me", "guest"])
    refused(folder)
    users(uid=0)
    refused(folder)
    users()
    (folder / "revoked.txt").chmod(0o666)
    refused(folder)


def test_a_group_of_another_user_may_not_write(
    folder: Path, users: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    users()
    (folder / "revoked.txt").chmod(0o664)
    assert TrustStore(folder).read().keys
    stranger = pwd.struct_passwd(("me", "x", 1000, os.getegid() + 1, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: stranger)
    refused(folder)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a container that lists no user
    refused(folder)


def refused(folder: Path) -> None:
    """By the store, and by whoever names the key file itself."""
    with pytest.raises(TrustError, match=r"may write to it|belongs to user"):
        TrustStore(folder).read()


def test_a_store_of_this_user_is_read(folder: Path) -> None:
    assert TrustStore(folder).read().keys == {KEY.key_id: KEY}


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o622, 0o646])
@pytest.mark.parametrize("name", [f"{KEY.key_id}.pem", "revoked.txt"])
def test_a_file_that_others_may_write_is_refused(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    refused(folder)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_a_folder_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    refused(folder)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o773])
def test_a_parent_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.parent.chmod(mode)
    refused(folder)
    with pytest.raises(TrustError, match="may write to it"):
        as_trusted_keys([folder / f"{KEY.key_id}.pem"])


def test_a_parent_with_the_sticky_bit_is_accepted(folder: Path) -> None:
    """In /tmp, users cannot replace each other's entries."""
    folder.parent.chmod(0o1777)
    assert TrustStore(folder).read().keys


def test_the_target_of_a_link_is_judged(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "key.txt"
    target.parent.mkdir()
    target.write_bytes(OTHER.to_pem())
    (folder / "link.pem").symlink_to(target)
    assert len(TrustStore(folder).read().keys) == 2
    for spoilt, mode in ((target, 0o666), (target.parent, 0o777)):
        before = spoilt.stat().st_mode
        spoilt.chmod(mode)
        refused(folder)
        spoilt.chmod(before)


def test_the_folder_that_holds_a_link_is_judged(folder: Path, tmp_path: Path) -> None:
    """Else somebody else points the link elsewhere."""
    public = tmp_path / "public"
    public.mkdir()
    (public / "trust").symlink_to(folder)
    check_ownership(public / "trust")
    public.chmod(0o777)
    refused(public / "trust")


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(TrustError, match="more than 40 links"):
        check_ownership(tmp_path / "a" / "key.pem")


def test_the_path_is_judged_as_the_kernel_walks_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "link").symlink_to(folder)
    check_ownership(f"{tmp_path}/link/../trust/./revoked.txt")
    folder.parent.chmod(0o777)
    with pytest.raises(TrustError, match="may write to it"):
        check_ownership(f"{tmp_path}/link/../trust/revoked.txt")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: folder,
        lambda folder: folder.parent,
        lambda folder: folder / f"{KEY.key_id}.pem",
        lambda folder: folder / "revoked.txt",
    ],
)
def test_what_belongs_to_another_user_is_refused(
    folder: Path, spoil: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(spoil(folder), STRANGER, STRANGER)
    else:  # only root can give a file away: be another user instead
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    refused(folder)


def test_new_folders_are_closed_to_the_group(tmp_path: Path) -> None:
    """A umask of 002, as on some systems, does not open the store that we make."""
    before = os.umask(0o002)
    try:
        store = TrustStore(tmp_path / "a" / "b" / "c")
        store.add(KEY.to_pem())
    finally:
        os.umask(before)
    assert store.read().keys
