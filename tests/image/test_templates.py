"""Templates from a tarball that nobody vouches for, and from Mesos's sandbox."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.errors import TemplateError
from marathonlb.image import templates


def tarball(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A tarball of files, by name and content, and of members that are anything else."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def special(kind: bytes, name: str = "templates/HAPROXY_HEAD", link: str = "") -> tarfile.TarInfo:
    """A member that is no plain file."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    return info


HEAD = ("templates/HAPROXY_HEAD", b"global\n")


class TarballTests(SynchronousTestCase):
    """TEMPLATE_URL as a file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).resolve()

    def taken(self, content: bytes) -> dict[str, bytes]:
        """The files of a tarball."""
        self.path.write_bytes(content)
        return templates.from_url(f"file://{self.path}")

    def refused(self, content: bytes) -> str:
        """Why a tarball is refused."""
        return str(self.assertRaises(TemplateError, self.taken, content))

    def test_taken(self) -> None:
        """Plain files below templates/ are taken, however it is packed; what lies elsewhere is not."""
        plain = tarball(
            special(tarfile.DIRTYPE, "./templates"),
            ("./templates/errors/503.http", b"x"),
            HEAD,
            ("README", b""),
        )
        packers: tuple[Callable[[bytes], bytes], ...] = (bytes, gzip.compress, bz2.compress, lzma.compress)
        for pack in packers:
            self.assertEqual({"HAPROXY_HEAD": b"global\n", "errors/503.http": b"x"}, self.taken(pack(plain)))
        self.assertEqual(2, len(templates.from_url(str(self.path))))

    def test_traversal(self) -> None:
        """A name that leads out of the tarball refuses the whole."""
        for name in (
            "templates/../../etc/passwd",
            "../templates/HAPROXY_HEAD",
            "/templates/HAPROXY_HEAD",
            "..\\HAPROXY",
        ):
            self.assertIn("is outside of the tarball", self.refused(tarball(HEAD, (name, b""))))

    def test_kinds(self) -> None:
        """Links, devices and pipes refuse the whole, wherever they lie."""
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
            for name in ("templates/HAPROXY_X", "elsewhere"):
                self.assertIn("neither", self.refused(tarball(HEAD, special(kind, name, "/etc/passwd"))))

    def test_bombs(self) -> None:
        """What unpacks to too much is refused before it takes the memory; so are too many members."""
        zeros = b"\0" * (templates.LARGEST_TARBALL + 4096)
        for pack in (gzip.compress, bz2.compress, lzma.compress):
            self.assertIn("unpacks to more than", self.refused(pack(zeros)))
        many = tarball(*((f"templates/{number}", b"") for number in range(templates.MOST_MEMBERS + 1)))
        self.assertIn("members", self.refused(many))
        self.assertIn("larger than", self.refused(os.urandom(templates.LARGEST_DOWNLOAD + 1)))

    def test_headers(self) -> None:
        """A header that claims a giant name or file is refused within bounds."""
        claims = tarfile.TarInfo("templates/HAPROXY_HEAD")
        claims.size = 2**40
        self.assertIn("tarball", self.refused(claims.tobuf() + b"\0" * 1024))
        self.assertIn("not a name for a template", self.refused(tarball(("templates/" + "x" * 300, b""))))
        self.assertIn("not a name for a template", self.refused(tarball(("templates/a\nb", b""))))

    def test_cut_off(self) -> None:
        """What was cut off between two members, or has a broken one among them, is refused and not half taken."""
        plain = tarball(HEAD, ("templates/HAPROXY_BACKEND_HEAD", b"x"))
        broken = plain[:1024] + b"X" + plain[1025:]
        for content in (plain[:1024], plain[:1100], plain[:2048], broken):
            self.assertIn("it is not a complete tarball", self.refused(content))
        packed = lzma.compress(plain)
        two = lzma.compress(plain[:1024]) + lzma.compress(plain[1024:])
        for content in (packed[:-8], two, packed + b"more"):
            self.assertIn("cannot be unpacked", self.refused(content))

    def test_garbage(self) -> None:
        """What is no tarball, is cut off, or has no templates is refused with a reason."""
        packed = gzip.compress(tarball(HEAD))
        self.assertIn("it is not a complete tarball", self.refused(b"<html>not found</html>"))
        self.assertIn("cannot be unpacked", self.refused(packed[: len(packed) // 2]))
        self.assertIn("no file below templates/", self.refused(tarball(("HAPROXY_HEAD", b""))))
        self.path.unlink()
        error = self.assertRaises(TemplateError, templates.from_url, str(self.path))
        self.assertIn("No such file", str(error))


class DirectoryTests(SynchronousTestCase):
    """What is written, and what Mesos left."""

    def setUp(self) -> None:
        self.sandbox, self.directory = Path(self.mktemp()), Path(self.mktemp())
        (self.sandbox / "templates" / "errors").mkdir(parents=True)

    def test_sandbox(self) -> None:
        """Plain files of the sandbox's templates/ are taken; links are not; no such directory is nothing."""
        (self.sandbox / "templates" / "HAPROXY_HEAD").write_text("global\n")
        (self.sandbox / "templates" / "errors" / "503.http").write_text("x")
        (self.sandbox / "templates" / "HAPROXY_LINK").symlink_to("/etc/passwd")
        found = templates.from_sandbox(str(self.sandbox))
        self.assertEqual({"HAPROXY_HEAD": b"global\n", "errors/503.http": b"x"}, found)
        self.assertEqual({}, templates.from_sandbox(str(self.directory)))

    def test_written(self) -> None:
        """Files are written with their directories, over older ones, and nothing else is left."""
        self.directory.mkdir()
        (self.directory / "HAPROXY_HEAD").write_text("old")
        templates.write({"HAPROXY_HEAD": b"new", "errors/503.http": b"x"}, str(self.directory))
        self.assertEqual("new", (self.directory / "HAPROXY_HEAD").read_text())
        self.assertEqual({"HAPROXY_HEAD", "errors"}, set(os.listdir(self.directory)))
