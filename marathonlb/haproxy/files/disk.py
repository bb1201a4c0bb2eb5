"""
The few things that are done to files, each durable or said to be not.

They stand behind one class so that a test can end the process, or fill the disk, after any of them.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from marathonlb.errors import PublishFailed
from marathonlb.files import FileWriter, Ownership, Text, encoded

ADVICE = {
    "ENOSPC": "free some space",
    "EDQUOT": "free some space",
    "EFBIG": "the limit of a file's size is too low",
    "EROFS": "mount it writable or choose another {option}",
    "EACCES": "let this user write to the directory or choose another {option}",
    "EPERM": "let this user write to the directory or choose another {option}",
    "ENOENT": "make the directory or choose another {option}",
}
"""What to do about what the disk refuses, by the name of the error."""


class Disk(FileWriter):
    """The real disk. Each method raises `OSError`."""

    def make_directory(self, path: str) -> None:
        """Make a directory for the owner and the group alone."""
        os.mkdir(path, 0o750)

    def remove(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(path)

    def unwritable(self, path: str) -> OSError | None:
        """Why nothing can be made in a directory that is there; None where something can."""
        return None if os.access(path, os.W_OK | os.X_OK) else forbidden(path, os.statvfs(path).f_flag)


def read_text(path: str) -> str | None:
    """The text of a file, byte for byte; None where there is none. Raises `OSError`."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def holds(path: str, text: Text) -> bool:
    """Whether a file is there and holds exactly this text. Raises `OSError`."""
    try:
        with open(path, "rb") as file:
            return all(file.read(len(part)) == part for part in encoded(text)) and not file.read(1)
    except FileNotFoundError:
        return False


def ownership_of(path: str) -> Ownership:
    """Who may read the file that is there; the default where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return Ownership()
    return Ownership(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def remove_tree(path: str) -> None:
    """Remove a directory of ours with all it holds, or nothing where it is not there."""
    shutil.rmtree(path, ignore_errors=True)


def forbidden(path: str, flags: int) -> OSError:
    """
    Why a directory takes nothing.

    :param flags: of the mount that it is on (`os.statvfs`).
    """
    code = errno.EROFS if flags & os.ST_RDONLY else errno.EACCES
    return OSError(code, os.strerror(code), path)


def told(error: object) -> str:
    """What went wrong with a file of the state directory, and what to do; of any other error what it says itself."""
    if not isinstance(error, OSError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return where + reason(error, "--state-dir")


def reason(error: OSError, option: str, where: str = "") -> str:
    """
    What the disk says, and what can be done about it.

    :param option: names the directory that the file lies in.
    :param where: comes between the two.
    """
    advice = ADVICE.get(errno.errorcode.get(error.errno or 0, ""), "choose another {option}")
    return f"{error.strerror}{where}; {advice.format(option=option)}"


@contextmanager
def publishing(path: str) -> Iterator[None]:
    """Turn what the disk refuses into a `PublishFailed` that says what can be done."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename and error.filename != path else ""
        words = reason(error, "--haproxy-config", where)
        raise PublishFailed(path=path, reason=f"cannot be written: {words}") from error
