"""
The operations on files that publishing takes; each says whether it is durable.

They are methods of one class, so that a test can end the process, or fill the disk, after any of them.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from marathonlb.base.files import FileWriter, Ownership, Text, encoded
from marathonlb.errors import PublishFailed

ADVICE = {
    "ENOSPC": "free some space",
    "EDQUOT": "free some space",
    "EFBIG": "the limit of a file's size is too low",
    "EROFS": "mount it writable or choose another {option}",
    "EACCES": "let this user write to the directory or choose another {option}",
    "EPERM": "let this user write to the directory or choose another {option}",
    "ENOENT": "make the directory or choose another {option}",
}
"""Advice by the name of the error."""


class Disk(FileWriter):
    """The real disk. The methods raise `OSError`."""

    def make_directory(self, path: str) -> None:
        """Make a directory for the owner and the group only."""
        os.mkdir(path, 0o750)

    def remove(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(path)

    def unwritable(self, path: str) -> OSError | None:
        """Return why nothing can be made in an existing directory; None if something can."""
        return None if os.access(path, os.W_OK | os.X_OK) else forbidden(path, os.statvfs(path).f_flag)


def read_text(path: str) -> str | None:
    """Return the text of a file, byte for byte; None if there is no file. Raises `OSError`."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def holds(path: str, text: Text) -> bool:
    """Return whether a file exists and holds exactly this text. Raises `OSError`."""
    try:
        with open(path, "rb") as file:
            return all(file.read(len(part)) == part for part in encoded(text)) and not file.read(1)
    except FileNotFoundError:
        return False


def ownership_of(path: str) -> Ownership:
    """Return the permissions of a file; the default if there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return Ownership()
    return Ownership(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def remove_tree(path: str) -> None:
    """Remove a directory with its contents; do nothing if it does not exist."""
    shutil.rmtree(path, ignore_errors=True)


def forbidden(path: str, flags: int) -> OSError:
    """
    Return the error of a directory in which nothing can be made.

    :param flags: the flags of its mount (`os.statvfs`).
    """
    code = errno.EROFS if flags & os.ST_RDONLY else errno.EACCES
    return OSError(code, os.strerror(code), path)


def explain_error(error: object) -> str:
    """Return what went wrong with a file of the state directory, and what to do; of any other error its own text."""
    if not isinstance(error, OSError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return where + explain_os_error(error, "--state-dir")


def explain_os_error(error: OSError, option: str, where: str = "") -> str:
    """
    Return an error of the disk, and what can be done about it.

    :param option: the option that names the file's directory.
    :param where: text between the two.
    """
    advice = ADVICE.get(errno.errorcode.get(error.errno or 0, ""), "choose another {option}")
    return f"{error.strerror}{where}; {advice.format(option=option)}"


@contextmanager
def publishing(path: str) -> Iterator[None]:
    """Turn an `OSError` into a `PublishFailed` that says what can be done."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename and error.filename != path else ""
        reason = explain_os_error(error, "--haproxy-config", where)
        raise PublishFailed(path=path, reason=f"cannot be written: {reason}") from error
