"""What a password hash costs, by its own text."""

from __future__ import annotations

from ctypes import CDLL, c_char_p
from ctypes.util import find_library
from time import perf_counter, process_time

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.lines.passwords import LOCKED, Unreadable, fault, is_hash, milliseconds

CHEAP = (
    "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
    "$5$rounds=1000$salt$hash",
    "$6$rounds=1000$salt$hash",
    "$6$rounds=1800$salt$hash",
    "$5$rounds=1000$rounds=999999$hash",
    "$2a$04$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$2y$04$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$hash",
    "$gy$j75$k2XAnEHBqQ1Ct2aMXFKNa/$hash",
    "$7$66..../....saltsalt$hash",
    "$sha1$1000$saltsalt$hash",
    "$3$$8846f7eaee8fb117ad06bdd830b7586c",
    "_J9..saltZj89CWa.7tY",
    "abJnggxhB/yWI",
    "no hash at all",
    LOCKED,
)
COSTLY = (
    "$5$salt$hash",
    "$6$salt$hash",
    "$5$$hash",
    "$5$rounds=2000$salt$hash",
    "$6$rounds=656000$salt$hash",
    "$6$rounds=999999999$salt$hash",
    "$2b$05$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$2x$12$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$2y$31$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$y$j85$salt$hash",
    "$y$j9T$salt$hash",
    "$y$jFT$salt$hash",
    "$gy$j9T$salt$hash",
    "$7$CU..../....saltsalt$hash",
    "$7$6U..../....saltsalt$hash",
    "$7$6/....z....saltsalt$hash",
    "$sha1$24680$salt$hash",
    "$sha1$4294967295$salt$hash",
    "$md5$salt$$hash",
    "$md5,rounds=1$salt$$hash",
    "_zzzzsaltZj89CWa.7tY",
)
UNREADABLE = (
    "$",
    "$$",
    "$9$salt$hash",
    "$8$salt$hash",
    "$apr1$salt$hash",
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    "$2$04$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$2y$03$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$2y$32$abcdefghijklmnopqrstuuli3ib4qs11EQBRQHSXCtlMYUFLtgldG",
    "$2y$4$abcdefghijklmnopqrstuu",
    "$5$rounds=999$salt$hash",
    "$5$rounds=01000$salt$hash",
    "$5$rounds=+1000$salt$hash",
    "$5$rounds=1000",
    "$5$rounds=$salt$hash",
    "$6$rounds=9999999999$salt$hash",
    "$y$j9T.$salt$hash",
    "$y$.5T$salt$hash",
    "$y$jzzz5$salt$hash",
    "$y$$salt$hash",
    "$7$C",
    "$sha1$$salt$hash",
    "$sha1$01$salt$hash",
    "$md5,rounds=x$salt$hash",
    "$md5x$salt$hash",
    "_J9..salt",
    "_J9!!saltZj89CWa.7tY",
)


class CostTests(SynchronousTestCase):
    """The costs of the schemes of crypt(3)."""

    def test_cheap(self) -> None:
        """What costs less than a millisecond is taken."""
        for passwd in CHEAP:
            self.assertEqual("", fault(passwd, 1), passwd)

    def test_costly(self) -> None:
        """What costs more is refused, with its cost."""
        for passwd in COSTLY:
            self.assertGreater(milliseconds(passwd), 1, passwd)
            self.assertRegex(fault(passwd, 1), r"up to ([0-9.]+ m?s|many minutes) for each password", passwd)
        self.assertIn("up to 3.8 ms for each password", fault("$5$salt$hash", 1))
        self.assertEqual("", fault("$5$salt$hash", 5))

    def test_unreadable(self) -> None:
        """What no scheme is known for, or no number can be read from, is refused, however much may be spent."""
        for passwd in UNREADABLE:
            self.assertRaises(Unreadable, milliseconds, passwd)
            self.assertRegex(fault(passwd, 100), "cost is (not )?known", passwd)

    def test_is_hash(self) -> None:
        """crypt(3) makes all of these, and neither words nor what Apache makes."""
        for passwd in ("$md5,rounds=5000$salt$$hash", *CHEAP[:-2], LOCKED):
            self.assertTrue(is_hash(passwd), passwd)
        for passwd in ("secret", "$apr1$salt$hash", "$1$", ""):
            self.assertFalse(is_hash(passwd), passwd)

    def test_long_words(self) -> None:
        """However long a text is, it is read in no time."""
        started = process_time()
        for passwd in ("$" * 60_000, "$5$rounds=" + "9" * 60_000, "$y$" + "z" * 60_000, "_" * 60_000):
            self.assertTrue(fault(passwd, 1))
        self.assertLess(process_time() - started, 0.05)


class MeasuredTests(SynchronousTestCase):
    """The estimates against crypt(3) of this machine, where it has one."""

    def test_estimates(self) -> None:
        """A scheme that this machine's crypt(3) knows costs about what is estimated, relative to a known one."""
        library = find_library("crypt")
        if library is None:
            self.assertFalse(library, "a machine without libcrypt estimates as well as others")
            return
        crypt = CDLL(library).crypt
        crypt.restype = c_char_p

        def measured(passwd: str) -> float:
            best = 1e9
            for _ in range(7):
                started = perf_counter()
                made = crypt(b"x" * 128, passwd.encode())
                best = min(best, 1000 * (perf_counter() - started))
            return best if made and not made.startswith(b"*") else 0

        slow = measured("$5$rounds=20000$salt$hash") / milliseconds("$5$rounds=20000$salt$hash")
        for passwd in (*CHEAP[:14], "$5$salt$hash", "$6$salt$hash", "$y$j9T$salt$hash", "$md5$salt$$hash"):
            self.assertLess(measured(passwd), 0.3 + 3 * slow * milliseconds(passwd), passwd)
