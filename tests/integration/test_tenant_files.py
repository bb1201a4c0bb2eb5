"""Files that HAProxy or the controller would stumble over: beside certificates, and named by labels."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.authorities import served
from tests.integration.controllers import app
from tests.integration.haproxies import free_port, on_each
from tests.integration.minimarathons import MarathonTestCase, until
from tests.integration.test_certificate_files import WithCertificates

TIMESTAMP = b"\x00\x2f" + b"\x00" + b"x" * 46
TIMESTAMPS = (len(TIMESTAMP)).to_bytes(2, "big") + TIMESTAMP
"""A list of one signed certificate timestamp, as far as its form goes."""


class CompanionMixin(WithCertificates):
    """Bad files beside certificates, on each HAProxy."""

    assertFalse: Any

    def fill(self) -> dict[str, str]:
        """Fill a directory with good certificates, bad companions and stray files; return words of each problem."""
        place = self.directory / "certs"
        place.mkdir()
        bad: dict[str, str] = {}
        for name in ("plain", "ocsp", "issuer", "other", "sctl", "timestamps", "folder", "fifo", "copy"):
            self.authority.issue(f"certs/{name}.pem", f"{name}.test")
        valid = self.authority.response("certs/ocsp.pem")
        strange = Path(self.authority.issue("strange.pem", "strange.test")).read_bytes()
        (place / "ocsp.pem.ocsp").write_bytes(valid)
        (place / "issuer.pem.ocsp").write_bytes(valid)
        (place / "issuer.pem.issuer").write_bytes(b"no pem\n")
        (place / "other.pem.ocsp").write_bytes(valid)
        (place / "other.pem.issuer").write_bytes(strange)
        (place / "sctl.pem.sctl").write_bytes(b"")
        (place / "timestamps.pem.sctl").write_bytes(TIMESTAMPS)
        (place / "folder.pem.ocsp").mkdir()
        os.mkfifo(place / "fifo.pem.ocsp")
        os.mkfifo(place / "fifo")
        (place / "issued").mkdir()
        (place / ".plain.pem.swp").write_bytes(b"x")
        (place / "copy.pem~").write_bytes((place / "copy.pem").read_bytes())
        (place / "a b.pem").write_bytes(strange)
        for name, words in (("README", "no PEM"), ("a.crt-list", "no PEM"), ("x.dh", "no PEM")):
            (place / name).write_bytes(f"{place}/plain.pem\n".encode())
            bad[name] = words
        os.symlink(place / "gone", place / "dangling.pem")
        bad |= {"dangling.pem": "does not exist", "sctl.pem.sctl": "is served without it"}
        bad |= {"issuer.pem.issuer": "is served without it", "folder.pem.ocsp": "is served without it"}
        bad |= {"fifo.pem.ocsp": "is no regular file", "other.pem": "is served without it"}
        return bad

    async def test_beside_shared_ones(self) -> None:
        """Each bad companion costs itself, each stray file too; both are named, and everything else is served."""
        bad = self.fill()
        await self.start("--ssl-certs", str(self.directory / "certs"))
        names = (
            "plain",
            "ocsp",
            "issuer",
            "other",
            "sctl",
            "timestamps",
            "folder",
            "fifo",
            "copy",
            "strange",
        )
        for name in names:
            await self.shown(f"{name}.test", f"{name}.test")
        for name, words in bad.items():
            lines = [line for line in self.log().splitlines() if f"/certs/{name}" in line]
            self.assertIn(words, "\n".join(lines))
        self.assertFalse([line for line in self.log().splitlines() if "not applied" in line])

    async def test_while_it_runs(self) -> None:
        """A companion that turns bad, and a renewal that is half written, hold up no change of others."""
        place = self.directory / "certs"
        place.mkdir()
        for name in ("own", "plain"):
            self.authority.issue(f"certs/{name}.pem", f"{name}.test")
        service = await self.start("--ssl-certs", str(place / "plain.pem"))
        own = {"HAPROXY_0_SSL_CERT": str(place / "own.pem"), "HAPROXY_0_BIND_ADDR": "127.0.0.1"}
        port = free_port()
        await self.create(service, app("own", port, **own))
        await until(lambda: served(port, None)[0] == "own.test", 60)
        for name, number in (("own", 1), ("plain", 2)):
            (place / f"{name}.pem.ocsp").write_bytes(b"garbage")
            (place / f"{name}.pem.issuer").write_bytes(b"no pem")
            (place / f"{name}.pem.sctl").write_bytes(b"\0\0")
            whole = (place / f"{name}.pem").read_bytes()
            (place / f"{name}.pem").write_bytes(whole[: len(whole) // 2])
            await self.create(service, app(f"n{number}", free_port()))
            await self.answers("200", f"n{number}.example.com")
            (place / f"{name}.pem").write_bytes(whole)
            self.look()
            await until(
                lambda name=name: f"{name}.pem" in self.log() and "served without it" in self.log(), 60
            )
        self.assertEqual("own.test", served(port, None)[0])
        await self.shown("x", "plain.test")
        await self.create(service, app("last", free_port()))
        await self.answers("200", "last.example.com")


class LabelMixin(WithCertificates):
    """Paths in labels, on each HAProxy."""

    async def reasons(self, service: MiniMarathon, **labels: str) -> dict[str, str]:
        """Start an app for each value of a label; what is said of each, by the app's name."""
        for name, value in labels.items():
            label, _, text = value.partition("=")
            await self.create(
                service,
                app(name, free_port(), **{f"HAPROXY_0_{label}": text, "HAPROXY_0_BIND_ADDR": "127.0.0.1"}),
            )
        found: dict[str, str] = {}

        def all_said() -> bool:
            for name in labels:
                lines = [line for line in self.log().splitlines() if f"/{name} port 0: HAPROXY_0_" in line]
                if lines:
                    found[name] = lines[0].partition("': ")[2]
            return len(found) == len(labels)

        await until(all_said, 60)
        return found

    async def test_no_regular_file(self) -> None:
        """What is no regular file, huge, missing or no certificate looks alike to its owner, and holds up nobody."""
        service = await self.start()
        fifo, huge, garbage = (self.directory / name for name in ("fifo", "huge", "garbage"))
        os.mkfifo(fifo)
        with huge.open("wb") as file:
            file.truncate(1 << 32)
        garbage.write_bytes(b"garbage")
        secret = self.directory / "secret"
        secret.mkdir()
        (secret / "unlikely-name.txt").write_bytes(b"x")
        paths = {
            "fifo": fifo,
            "huge": huge,
            "garbage": garbage,
            "gone": self.directory / "gone",
            "zero": "/dev/zero",
            "stdin": "/dev/stdin",
            "environ": "/proc/self/environ",
            "fd": "/dev/fd/0",
            "secret": secret,
        }
        for label in ("SSL_CERT={}", "BACKEND_SSL={}", "BIND_OPTIONS=verify required ca\\x2dfile {}"):
            kind = label.partition("_")[0].lower() + str(len(label))
            said = await self.reasons(
                service, **{f"{kind}-{name}": label.format(path) for name, path in paths.items()}
            )
            of_the_system = {f"{kind}-{name}" for name in ("zero", "stdin", "environ", "fd")}
            for names in (of_the_system, said.keys() - of_the_system):
                self.assertEqual(1, len({said[name] for name in names}), said)
            self.assertIn("has to be a regular file", said[f"{kind}-gone"])
        await self.create(service, app("other", free_port()))
        await self.answers("200", "other.example.com")
        warned = [line for line in self.log().splitlines() if " port 0: " in line]
        self.assertNotIn("unlikely-name", "\n".join(warned))
        for path in paths.values():
            self.assertNotIn(f" {path}", self.config())

    async def test_changed_into_a_fifo(self) -> None:
        """A file that becomes a FIFO after it was read holds up neither a check nor a reload: it is served on."""
        service = await self.start()
        own = Path(self.authority.issue("own.pem", "own.test"))
        ca = self.directory / "ca.pem"
        ca.write_bytes(Path(self.authority.path).read_bytes())
        port = free_port()
        labels = {"HAPROXY_0_SSL_CERT": str(own), "HAPROXY_0_BIND_ADDR": "127.0.0.1"}
        await self.create(
            service,
            app(
                "own", port, **labels, HAPROXY_0_BIND_OPTIONS=f'verify optional "ca-file" {ca} crl-file {ca}'
            ),
        )
        await until(lambda: served(port, None)[0] == "own.test", 60)
        for path in (own, ca):
            path.unlink()
            os.mkfifo(path)
        await self.create(service, app("other", free_port()))
        await self.answers("200", "other.example.com")
        before = self.reloads()
        self.daemons[0].send_signal(signal.SIGUSR1)
        await until(lambda: self.reloads() > before, 60)
        self.assertEqual("own.test", served(port, None)[0])
        self.daemons[0].kill()
        await deferToThread(self.daemons[0].wait)
        self.daemons.clear()
        self.daemon(service.url, "sse")
        await self.create(service, app("after", free_port()))
        await self.answers("200", "after.example.com")
        self.assertEqual("own.test", served(port, None)[0])

    async def test_renewed(self) -> None:
        """A label's certificate that is renewed is served without a reload, then and by the next controller."""
        service = await self.start()
        path, port = self.authority.issue("own.pem", "old.test"), free_port()
        labels = {"HAPROXY_0_SSL_CERT": path, "HAPROXY_0_BIND_ADDR": "127.0.0.1"}
        await self.create(service, app("own", port, **labels))
        await until(lambda: served(port, None)[0] == "old.test" and self.reloads() > 1, 60)
        before = self.reloads()
        self.authority.issue("own.pem", "new.test")
        self.look()
        await until(lambda: served(port, None)[0] == "new.test", 60)
        await until(lambda: f"Certificate {path} has changed" in self.log(), 60)
        self.assertEqual(before, self.reloads())
        log = len(self.log())
        self.daemons[0].kill()
        await deferToThread(self.daemons[0].wait)
        self.daemons.clear()
        self.daemon(service.url, "sse")
        await until(lambda: re.search("configuration already|Generation 1: ", self.log()[log:]), 60)
        reasons = [
            line.partition(", since ")[2] for line in self.log()[log:].splitlines() if ": reload in" in line
        ]
        self.assertNotRegex("\n".join(reasons), "frontend|certificate")
        self.assertEqual("new.test", served(port, None)[0])

    async def test_of_another_team(self) -> None:
        """A policy says which files a team may name, by the path as written and as it really is."""
        for team in ("shop", "bank"):
            (self.directory / team).mkdir()
            self.authority.issue(f"{team}/own.pem", f"{team}.test")
        bank = self.directory / "bank" / "own.pem"
        os.symlink(bank, self.directory / "shop" / "link.pem")
        policy = self.directory / "policy.toml"
        policy.write_text(f'[defaults]\ncertificates = ["{self.directory}/shop/*.pem"]\n')
        service = await self.start("--policy", str(policy))
        shop = self.directory / "shop"
        said = await self.reasons(
            service,
            other=f"SSL_CERT={bank}",
            gone=f"SSL_CERT={self.directory}/bank/gone.pem",
            upward=f"SSL_CERT={shop}/../bank/own.pem",
            words=f"BIND_OPTIONS=crt {bank}",
            verify=f"BACKEND_SSL={bank}",
            link=f"SSL_CERT={shop}/link.pem",
            missing=f"SSL_CERT={shop}/missing.pem",
        )
        self.assertEqual(said["other"], said["gone"])
        self.assertEqual(said["link"], said["missing"])
        for name in ("other", "gone", "words", "verify"):
            self.assertIn(f"allows the certificates {shop}/*.pem alone", said[name])
        self.assertIn("holds `..`", said["upward"])
        port = free_port()
        labels = {"HAPROXY_0_SSL_CERT": f"{shop}//own.pem", "HAPROXY_0_BIND_ADDR": "127.0.0.1"}
        await self.create(service, app("shop2", port, **labels))
        await until(lambda: served(port, None)[0] == "shop.test", 60)


on_each(CompanionMixin, globals(), MarathonTestCase)
on_each(LabelMixin, globals(), MarathonTestCase)
