"""
Copies an operator's templates into a container: from a tarball at ``TEMPLATE_URL`` or from Mesos's sandbox.

A tarball is not trusted: it is unpacked in memory within limits, each member is checked, and only plain files below
``templates/`` are written, with checked names. One bad member refuses the whole tarball.
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
"""The directory with templates, in a tarball and in a sandbox."""

LARGEST_DOWNLOAD = 8 * 2**20
"""Maximum bytes of a download."""

LARGEST_TARBALL = 32 * 2**20
"""Maximum bytes of a tarball, unpacked."""

MOST_MEMBERS = 2000
"""Maximum number of members of a tarball."""

LONGEST_NAME = 200
"""Maximum characters of a member's name."""

SECONDS = 60.0
"""Maximum seconds of a download."""

_STEP = 64 * 2**10


def from_url(url: str, seconds: float = SECONDS) -> dict[str, bytes]:
    """
    Return the files below ``templates/`` of a tarball: relative name to content.

    :param url: ``http://``, ``https://``, ``file:///`` or a path; a user and password in it are sent as basic auth.
    :param seconds: maximum seconds of the download.
    :raises TemplateError: the tarball cannot be fetched, or is refused.
    """
    try:
        return dict(unpack(_fetch(url, seconds)))
    except urllib.error.HTTPError as error:
        problem = f"the answer is {error.code} {error.reason}"
    except urllib.error.URLError as error:
        problem = str(error.reason)
    except (_BadTarball, OSError, ValueError, HTTPException) as error:
        problem = str(error)
    raise TemplateError(source=f"TEMPLATE_URL {redacted(url)}", reason=" ".join(problem.split()))


def from_sandbox(sandbox: str) -> dict[str, bytes]:
    """
    Return the files below ``templates/`` of a directory: relative name to content; links are left out.

    :raises OSError: a file cannot be read.
    """
    root = os.path.join(sandbox, FOLDER)
    files = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    files[os.path.relpath(path, root)] = file.read()
    return files


def write(files: dict[str, bytes], directory: str) -> None:
    """
    Write files into a directory, each one atomically.

    :param files: relative name to content.
    :raises OSError: a file cannot be written.
    """
    for name, content in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        FilePath(path).setContent(content, ext=b".writing")


class _BadTarball(Exception):
    """A tarball is refused; the message is the reason."""


def unpack(tarball: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files below ``templates/``. Raises if anything in the tarball is wrong."""
    count = 0
    plain = _decompressed(tarball)
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= MOST_MEMBERS:
                    raise _BadTarball(f"it has more than {MOST_MEMBERS} members")
                name = _name(member)
                file = archive.extractfile(member) if member.isreg() else None
                if name is not None and file is not None:
                    count += 1
                    yield name, file.read()
            # tarfile takes a broken member, or a cut-off tarball, for a regular end.
            if plain[archive.offset : archive.offset + tarfile.BLOCKSIZE] != tarfile.NUL * tarfile.BLOCKSIZE:
                raise _BadTarball("it is not a complete tarball: a broken member, or no end")
    except (tarfile.TarError, EOFError) as error:
        raise _BadTarball(f"it is not a complete tarball: {error}") from None
    if not count:
        raise _BadTarball(f"it has no file below {FOLDER}/")


def _name(member: tarfile.TarInfo) -> str | None:
    """Return a member's name below ``templates/``; None if it is elsewhere. Raises for a bad name or kind."""
    path = PurePosixPath(member.name)
    shown = member.name[:LONGEST_NAME].encode("unicode_escape").decode("ascii")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise _BadTarball(f"{shown} is neither a plain file nor a directory")
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        raise _BadTarball(f"{shown} is outside of the tarball")
    if len(member.name) > LONGEST_NAME or not member.name.isprintable():
        raise _BadTarball(f"{shown} is not a name for a template")
    if path.parts[:1] != (FOLDER,) or len(path.parts) < 2:
        return None
    return str(PurePosixPath(*path.parts[1:]))


def _decompressed(tarball: bytes) -> bytes:
    """Return a tarball unpacked from gzip, bzip2 or xz, or as it is; reading stops beyond `LARGEST_TARBALL`."""
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
                raise EOFError("its end is missing, or is followed by other data")
        else:
            plain = tarball
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise _BadTarball(f"it cannot be unpacked: {error}") from None
    if len(plain) > LARGEST_TARBALL:
        raise _BadTarball(f"it unpacks to more than {LARGEST_TARBALL >> 20} MiB")
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
        # Unredirected: the password is for this host; `_Redirects` adds it where it may be sent.
        request.add_unredirected_header("Authorization", f"Basic {token}")
    with _opener().open(request, timeout=min(seconds, 20)) as response:
        return _bounded(response, deadline)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; sends the password again only to the same scheme, host and port."""

    def redirect_request(self, req: urllib.request.Request, *more: Any) -> urllib.request.Request | None:
        """Return the next request."""
        following = super().redirect_request(req, *more)
        password = req.unredirected_hdrs.get("Authorization")
        if following is not None and password and (following.type, following.host) == (req.type, req.host):
            following.add_unredirected_header("Authorization", password)
        return following


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https only, also after redirects."""
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
    """Read a stream within `LARGEST_DOWNLOAD` and until the deadline."""
    parts = bytearray()
    while part := stream.read1(_STEP):
        parts += part
        if len(parts) > LARGEST_DOWNLOAD:
            raise _BadTarball(f"it is larger than {LARGEST_DOWNLOAD >> 20} MiB")
        if time.monotonic() > deadline:
            raise _BadTarball("the download takes too long")
    return bytes(parts)
