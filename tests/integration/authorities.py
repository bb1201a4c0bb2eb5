"""Certificates for the tests, and clients that check the served ones."""

from __future__ import annotations

import http.client
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from tests.integration.worlds import Answer

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def key_text(key: PrivateKey, passphrase: bytes = b"") -> bytes:
    """Return a private key in PEM format."""
    cipher: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        cipher = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)


class Authority:
    """A certificate authority; its own certificate is in the file ``path``."""

    def __init__(self, directory: Path, name: str = "authority.test") -> None:
        self.directory = directory
        self.path = str(directory / f"{name}.pem")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(self._name, self._key, (), (-1, 400), authority=True)
        Path(self.path).write_bytes(made)

    def issue(
        self,
        file: str,
        *names: str,
        days: tuple[float, float] = (-1, 90),
        key: PrivateKey | None = None,
        mode: str = "both",
    ) -> str:
        """
        Write a new certificate to a file of the directory; return the path.

        :param days: the start and the end of its validity, in days from now.
        :param mode: ``both``, only the ``certificate`` or the ``key``, or ``apart``: the key in a separate file.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        made, secret = self._signed(subject, key, names, days), key_text(key)
        path = self.directory / file
        texts = {"both": made + secret, "certificate": made, "apart": made, "key": secret}
        waiting = path.with_name(f".{path.name}")
        waiting.write_bytes(texts[mode])
        if mode == "apart":
            path.with_name(f"{path.name}.key").write_bytes(secret)
        waiting.replace(path)
        return str(path)

    def response(self, file: str) -> bytes:
        """Return an OCSP response for a certificate of the directory."""
        leaf, issuer = (
            x509.load_pem_x509_certificate(path.read_bytes())
            for path in (self.directory / file, Path(self.path))
        )
        now = datetime.now(UTC)
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=leaf,
            issuer=issuer,
            algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=now,
            next_update=now + timedelta(days=2),
            revocation_time=None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, issuer)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def _signed(
        self,
        subject: x509.Name,
        key: PrivateKey,
        names: tuple[str, ...],
        days: tuple[float, float],
        *,
        authority: bool = False,
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            found = x509.SubjectAlternativeName(list(map(_general_name, names)))
            builder = builder.add_extension(found, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> x509.GeneralName:
    """Return the general name of a host name or an address."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def client(*protocols: str, certificate: str = "") -> ssl.SSLContext:
    """Return a TLS context that accepts any certificate and offers these protocols and this client certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols) or ["http/1.1"])
    if certificate:
        context.load_cert_chain(certificate)
    return context


def ask_tls(
    port: int, sni: str | None, host: str, path: str = "/", certificate: str = "", **headers: str
) -> Answer:
    """Send one request over TLS. Raise `OSError` if the handshake or the request fails."""
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = client(certificate=certificate).wrap_socket(plain, server_hostname=sni)
        try:
            connection.request("GET", path, headers={"Host": host, **headers})
            response = connection.getresponse()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        found = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, found, response.read())
        connection.close()
    return answer


def served(port: int, sni: str | None, *protocols: str) -> tuple[str, str]:
    """Return the common name of the served certificate and the negotiated protocol; empty if the handshake fails."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            client(*protocols).wrap_socket(plain, server_hostname=sni) as secured,
        ):
            return common_name(secured.getpeercert(binary_form=True)), secured.selected_alpn_protocol() or ""
    except OSError:
        return "", ""


def common_name(der: bytes | None) -> str:
    """Return the common name of a certificate."""
    found = x509.load_der_x509_certificate(der or b"")
    return str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def weak_key() -> rsa.RSAPrivateKey:
    """Return a key that some builds of OpenSSL reject as too small."""
    return rsa.generate_private_key(65537, 1024)
