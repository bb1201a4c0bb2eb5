"""Who else can write the state directory, or replace it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import UsageError
from marathonlb.haproxy.files.trust import distrusted, may_enter, require_closed
from marathonlb.settings import Account, Settings

OTHER = 54321
"""A user who is neither us nor root."""


class TrustTests(SynchronousTestCase):
    """Directories below ``/tmp``, in which everybody can make names, and nobody but the owner can take one away."""

    def setUp(self) -> None:
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.path = f"{self.top}/above/state"
        os.makedirs(self.path)
        self.modes(0o755, 0o750)

    def modes(self, above: int, state: int) -> None:
        """Set who can write the directory, and the one above it."""
        for path, mode in ((f"{self.top}/above", above), (self.path, state)):
            os.chmod(path, mode)

    def belongs_to_other(self, path: str) -> str:
        """The verdict where another user owns a path."""

        def status_of(asked: str) -> os.stat_result:
            status = list(os.lstat(asked))
            if asked == path:
                status[stat.ST_UID] = OTHER
            return os.stat_result(status)

        return distrusted(self.path, status_of=status_of)

    def test_closed(self) -> None:
        """A directory of ours is trusted, also one that is not there yet, and where others may read."""
        for state in (0o700, 0o750, 0o755, 0o710):
            self.modes(0o755, state)
            self.assertEqual("", distrusted(self.path))
        self.assertEqual("", distrusted(f"{self.path}/not/yet"))

    def test_written_by_others(self) -> None:
        """A directory that a group or everybody can write is refused with the command, whatever else its mode says."""
        for state, words in (
            (0o770, "`chmod g-w "),
            (0o757, "`chmod go-w "),
            (0o777, "`chmod go-w "),
            (0o1777, "`chmod go-w "),
            (0o2770, "`chmod g-w "),
        ):
            self.modes(0o755, state)
            why = distrusted(self.path)
            self.assertIn(f"{words}{self.path}`", why)
            self.assertIn(f"mode {state:04o}", why)

    def test_replaced_by_others(self) -> None:
        """One above it that others can write is refused, unless its sticky bit keeps them from what is ours."""
        self.modes(0o757, 0o700)
        self.assertIn(f"`chmod go-w {self.top}/above`", distrusted(self.path))
        self.modes(0o1777, 0o700)
        self.assertEqual("", distrusted(self.path))

    def test_belongs_to_others(self) -> None:
        """Whoever owns it, or one above it, can write there at any time."""
        for path in (self.path, f"{self.top}/above"):
            why = self.belongs_to_other(path)
            self.assertIn(f"{path} belongs to user {OTHER}", why)
            self.assertIn(f" {path}`", why)
        self.assertNotEqual("", distrusted(self.path, uid=OTHER + 1, status_of=_all_of(OTHER)))
        self.assertEqual("", distrusted(self.path, uid=OTHER, status_of=_all_of(OTHER)))

    def test_links(self) -> None:
        """A link of ours is followed, and what it leads to is judged; another user's is refused."""
        link = f"{self.top}/link"
        os.symlink("above", link)
        path = f"{link}/state"
        self.assertEqual("", distrusted(path))
        self.modes(0o757, 0o700)
        self.assertIn("/above`", distrusted(path))
        self.modes(0o755, 0o700)

        def status_of(asked: str) -> os.stat_result:
            status = list(os.lstat(asked))
            status[stat.ST_UID] = OTHER if asked == link else status[stat.ST_UID]
            return os.stat_result(status)

        self.assertIn(f"{link} is a symbolic link of user {OTHER}", distrusted(path, status_of=status_of))
        os.symlink("round", f"{self.top}/round")
        self.assertIn("is a symbolic link", distrusted(f"{self.top}/round/state"))

    def test_no_directory(self) -> None:
        """A file is no state directory."""
        with open(f"{self.path}/file", "w", encoding="ascii"):
            pass
        self.assertIn("is not a directory", distrusted(f"{self.path}/file"))

    def test_blanks(self) -> None:
        """The command can be pasted whatever the path holds."""
        path = f"{self.top}/a b"
        os.mkdir(path)
        os.chmod(path, stat.S_IRWXU | stat.S_IWOTH)
        self.assertIn(f"`chmod go-w '{path}'`", distrusted(path))

    def test_usage_error(self) -> None:
        """It is a wrong option, in one line."""
        self.modes(0o755, 0o770)
        error = self.assertRaises(UsageError, require_closed, Settings(state_dir=self.path))
        self.assertIn("--state-dir: ", str(error))
        self.assertNotIn("\n", str(error))


def _all_of(uid: int):
    def status_of(path: str) -> os.stat_result:
        status = list(os.lstat(path))
        status[stat.ST_UID] = uid
        return os.stat_result(status)

    return status_of


class MayEnterTests(SynchronousTestCase):
    """`may_enter`."""

    def test_classes(self) -> None:
        """Of the bits of a mode the first class that a user is in counts."""
        account = Account(user="u", group="g", uid=1, gid=2)
        for uid, gid, mode, expected in (
            (1, 0, 0o100, True),
            (1, 2, 0o011, False),
            (0, 2, 0o010, True),
            (0, 2, 0o001, False),
            (0, 0, 0o001, True),
            (0, 0, 0o110, False),
        ):
            status = os.stat_result((mode, 0, 0, 0, uid, gid, 0, 0, 0, 0))
            self.assertEqual(expected, may_enter(status, account))
