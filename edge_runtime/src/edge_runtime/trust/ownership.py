"""Refuse files that another user could have written, as OpenSSH does for keys (StrictModes).

Whoever can write a key file, or replace a folder on the way to it, decides which models run.  So
the file, and every folder and link on its path, must belong to root or to this user.  Nobody else
may write to them.  A folder with the sticky bit, such as /tmp, may lie on the path: there
users cannot replace each other's entries.

Debian gives each user a group of their own, and some set umask 002: then the group may write, and
has no other member.  This is accepted, as by Debian's OpenSSH.
"""

from __future__ import annotations

import os
import stat

from edge_runtime.errors import TrustError

__all__ = ["check_ownership"]

_MAX_LINKS = 40
"""Most links on one path, as in Linux."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_ownership(path: str | os.PathLike[str]) -> None:
    """Refuse *path* when another user may write to it, or to anything on its way.

    Raises
    ------
    TrustError
        The message names the file or folder, and the command that mends it.
    OSError
        The path does not exist, or cannot be examined.
    """
    # Not abspath: it takes "link/.." for the folder of the link.
    pending = os.path.join(os.getcwd(), os.fsdecode(path)).split(os.sep)[:0:-1]
    place, n_links = os.sep, 0
    _check_entry(place, os.lstat(place), is_target=False)
    while pending:
        name = pending.pop()
        if name in ("", os.curdir):
            continue
        if name == os.pardir:
            place = os.path.dirname(place)
            continue
        entry = os.path.join(place, name)
        status = os.lstat(entry)
        if stat.S_ISLNK(status.st_mode):
            n_links += 1
            if n_links > _MAX_LINKS:
                raise TrustError(f"{os.fsdecode(path)}: more than {_MAX_LINKS} links on its path")
            _check_owner(entry, status)
            target = os.readlink(entry)
            if os.path.isabs(target):
                place = os.sep
            pending += target.split(os.sep)[::-1]
            continue
        _check_entry(entry, status, is_target=not any(pending))
        place = entry


def _check_entry(place: str, status: os.stat_result, *, is_target: bool) -> None:
    _check_owner(place, status)
    mode = status.st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX and not is_target:
        return
    if mode & _OTHERS_WRITE == stat.S_IWGRP and _is_private_group(status.st_gid):
        return
    if mode & _OTHERS_WRITE:
        letters = ("g" if mode & stat.S_IWGRP else "") + ("o" if mode & stat.S_IWOTH else "")
        raise TrustError(
            f"{place}: users other than its owner may write to it, and so decide which keys are "
            f"trusted; chmod {letters}-w {place}"
        )


def _is_private_group(group: int) -> bool:
    """Whether nobody but this user is in a group, and this user is not root.

    Users whom a directory service does not list (LDAP without enumeration) are not seen.
    """
    import grp  # Unix alone, and few stores need them
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid())
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:  # a container without this user or group
        return False
    if user.pw_uid == 0 or user.pw_gid != group:
        return False
    members |= {entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == group}
    return members == {user.pw_name}


def _check_owner(place: str, status: os.stat_result) -> None:
    user = os.geteuid()
    if status.st_uid not in (0, user):
        raise TrustError(
            f"{place} belongs to user {status.st_uid}, expected root or this user ({user}); "
            "chown it, or copy it to a folder of your own"
        )
