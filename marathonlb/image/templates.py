"""
An operator's templates, brought into a container: from a tarball at ``TEMPLATE_URL`` or from Mesos's sandbox.

A tarball comes from elsewhere, so nothing of it is believed: it is unpacked in memory within bounds, its members are
looked at one by one, and only plain files below ``templates/`` are written, by names that were checked. One member
that is anything else refuses the whole.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import ssl
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import PurePosixPath
from typing import Any

from twisted.python.filepath import FilePath

from marathonlb.errors import TemplateError
from marathonlb.options.values import redacted, without_userinfo

FOLDER = "templates"
LARGEST_DOWNLOAD = 8 * 2**20
LARGEST_TARBALL = 32 * 2**20
MOST_MEMBERS = 2000
LONGEST_NAME = 200
SECONDS = 60.0
"""For the whole download."""

_STEP = 64 * 2**10


def from_url(url: str, seconds: float = SECONDS) -> dict[str, bytes]:
    """
    The files below ``templates/`` of a tarball, by their names there.

    :param url: ``http://``, ``https://``, ``file:///`` or a path; a user and password in it are sent as basic auth.
    :raises TemplateError: it cannot be fetched, or is refused.
    """
    try:
        return dict(unpack(_fetch(url, seconds)))
    except urllib.error.HTTPError as error:
        reason = f"the answer is {error.code} {error.reason}"
    except urllib.error.URLError as error:
        reason = str(error.reason)
    except (_Refused, OSError, ValueError, HTTPException) as error:
        reason = str(error)
    raise TemplateError(source=f"TEMPLATE_URL {redacted(url)}", reason=" ".join(reason.split()))


def from_sandbox(sandbox: str) -> dict[str, bytes]:
    """
    The files below ``templates/`` of a directory, by their names there; links are left out.

    :raises OSError: one cannot be read.
    """
    root = os.path.join(sandbox, FOLDER)
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, root)] = file.read()
    return found


def write(files: dict[str, bytes], directory: str) -> None:
    """
    Put files into a directory, each whole.

    :raises OSError: one cannot be written.
    """
    for name, content in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        FilePath(path).setContent(content, ext=b".writing")


class _Refused(Exception):
    """A tarball that is not taken; its text says why."""


def unpack(tarball: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files below ``templates/``. Raises where anything in the tarball is amiss."""
    found = 0
    plain = _decompressed(tarball)
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= MOST_MEMBERS:
                    raise _Refused(f"it has more than {MOST_MEMBERS} members")
                name = _name(member)
                file = archive.extractfile(member) if member.isreg() else None
                if name is not None and file is not None:
                    found += 1
                    yield name, file.read()
            # tarfile takes a broken member, and the place where a tarball was cut off, for its end.
            if plain[archive.offset : archive.offset + tarfile.BLOCKSIZE] != tarfile.NUL * tarfile.BLOCKSIZE:
                raise _Refused("it is no whole tarball: a broken member, or no end")
    except (tarfile.TarError, EOFError) as error:
        raise _Refused(f"it is no whole tarball: {error}") from None
    if not found:
        raise _Refused(f"it has no file below {FOLDER}/")


def _name(member: tarfile.TarInfo) -> str | None:
    """The name below ``templates/``; None for what lies elsewhere. Refuses what is no plain file or directory."""
    path = PurePosixPath(member.name)
    shown = member.name[:LONGEST_NAME].encode("unicode_escape").decode("ascii")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise _Refused(f"{shown} is neither a plain file nor a directory")
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise _Refused(f"{shown} leads out of it")
    if len(member.name) > LONGEST_NAME or not member.name.isprintable():
        raise _Refused(f"{shown} is no name for a template")
    if path.parts[:1] != (FOLDER,) or len(path.parts) < 2:
        return None
    return str(PurePosixPath(*path.parts[1:]))


def _decompressed(tarball: bytes) -> bytes:
    """What was packed by gzip, bzip2, xz or not at all; refused past `LARGEST_TARBALL` before memory is taken."""
    packed = io.BytesIO(tarball)
    try:
        if tarball.startswith(b"\x1f\x8b"):
            plain = gzip.GzipFile(fileobj=packed).read(LARGEST_TARBALL + 1)
        elif tarball.startswith(b"BZh"):
            plain = bz2.BZ2File(packed).read(LARGEST_TARBALL + 1)
        elif tarball.startswith(b"\xfd7zXZ"):
            stream = lzma.LZMADecompressor(memlimit=4 * LARGEST_TARBALL)
            plain = stream.decompress(tarball, LARGEST_TARBALL + 1)
            if len(plain) <= LARGEST_TARBALL and (not stream.eof or stream.unused_data):
                raise EOFError("its end is missing, or is followed by something else")
        else:
            plain = tarball
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _Refused(f"it cannot be unpacked: {error}") from None
    if len(plain) > LARGEST_TARBALL:
        raise _Refused(f"it unpacks to more than {LARGEST_TARBALL >> 20} MiB")
    return plain


def _fetch(url: str, seconds: float) -> bytes:
    if url.startswith(("/", "file:///")):
        path = urllib.request.url2pathname(url.removeprefix("file://")) if url.startswith("file") else url
        with open(path, "rb") as file:
            return _bounded(file, time.monotonic() + seconds)
    deadline = time.monotonic() + seconds
    address, userinfo = without_userinfo(url)
    request = urllib.request.Request(address)  # noqa: S310 - the scheme is http or https
    if userinfo is not None:
        token = b64encode(":".join(userinfo).encode()).decode("ascii")
        # Unredirected: the password belongs to this host; `_Redirects` knows where it may go along.
        request.add_unredirected_header("Authorization", f"Basic {token}")
    with _opener().open(request, timeout=min(seconds, 20)) as response:
        return _bounded(response, deadline)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; the password goes along where scheme, host and port stay as they are, and nowhere else."""

    def redirect_request(self, req: urllib.request.Request, *more: Any) -> urllib.request.Request | None:
        """The next request."""
        following = super().redirect_request(req, *more)
        password = req.unredirected_hdrs.get("Authorization")
        if following is not None and password and (following.type, following.host) == (req.type, req.host):
            following.add_unredirected_header("Authorization", password)
        return following


def _opener() -> urllib.request.OpenerDirector:
    """Only http and https, wherever a redirect leads."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _bounded(stream: io.BufferedIOBase, deadline: float) -> bytes:
    parts = bytearray()
    while part := stream.read1(_STEP):
        parts += part
        if len(parts) > LARGEST_DOWNLOAD:
            raise _Refused(f"it is larger than {LARGEST_DOWNLOAD >> 20} MiB")
        if time.monotonic() > deadline:
            raise _Refused("it takes too long to come")
    return bytes(parts)
