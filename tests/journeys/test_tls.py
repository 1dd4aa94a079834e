"""HTTPS served by the server itself, and live keys that come over the line in plain text."""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.journeys.conftest import Call
from tests.process import Serve, Server, refused

HOUR = dt.timedelta(hours=1)


def make_certificate(folder: Path, password: bytes | None = None) -> tuple[Path, Path]:
    """A certificate for this machine that it signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - HOUR)
        .not_valid_after(now + HOUR)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    sealing: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        sealing = serialization.BestAvailableEncryption(password)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)
    )
    return cert_file, key_file


def client(server: Server, cert: Path, key: str) -> httpx.Client:
    trusting = ssl.create_default_context(cafile=str(cert))
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=f"{server.url}/v1", verify=trusting, headers=headers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_https_is_served_with_hsts_and_nothing_else_on_that_port(
    data_dir: Path, serve: Serve, workers: str
) -> None:
    cert, key = make_certificate(data_dir.with_name("tls"))
    server = serve(data_dir, "--tls-cert", str(cert), "--tls-key", str(key), "--workers", workers)
    sandbox = server.sandbox
    assert server.url.startswith("https://127.0.0.1:")
    assert sandbox["base_url"] == server.url
    assert "COMMERCE_BASE_URL" not in server.out
    with client(server, cert, sandbox["secret_key"]) as https:
        account = https.get("/account")
        assert (account.status_code, account.json()["id"]) == (200, sandbox["account"])
        body = {"recipient": sandbox["wallet"], "amount": "100.00", "reference_id": "first"}
        replies = [account, https.post("/stablecoin/issue", json=body), https.get("/nothing")]
        assert [reply.status_code for reply in replies] == [200, 201, 404]
        for reply in replies:
            assert reply.headers["strict-transport-security"] == "max-age=31536000"
        assert replies[2].json()["error"]["doc_url"].startswith(server.url)
    untrusting = httpx.Client(base_url=server.url)
    with untrusting, pytest.raises(httpx.ConnectError):
        untrusting.get("/healthz")
    with pytest.raises(httpx.RemoteProtocolError), httpx.Client() as plain:
        plain.get(f"{server.url.replace('https', 'http')}/healthz")
    old = ssl.create_default_context(cafile=str(cert))
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        socket.create_connection(("127.0.0.1", server.port)) as line,
    ):
        old.wrap_socket(line, server_hostname="localhost")
    assert server.stop() == 0


def test_plain_http_has_no_hsts(data_dir: Path, serve: Serve) -> None:
    server = serve(data_dir)
    reply = httpx.get(f"{server.url}/healthz")
    assert reply.status_code == 200
    assert "strict-transport-security" not in reply.headers


def test_a_certificate_that_cannot_be_used_is_said_in_one_line(call: Call, data_dir: Path) -> None:
    cert, key = make_certificate(data_dir.with_name("tls"))
    locked_cert, locked = make_certificate(data_dir.with_name("locked"), b"hush")
    _, other_key = make_certificate(data_dir.with_name("another"))
    nowhere = data_dir.with_name("nowhere.pem")
    for cert_file, key_file in (
        *((cert, nowhere), (nowhere, key), (key, cert), (cert, cert), (cert, locked)),
        *((locked_cert, locked), (locked_cert, key), (data_dir.parent, key)),
    ):
        tls = ["--tls-cert", cert_file, "--tls-key", key_file]
        message = refused(call("serve", "--data-dir", data_dir, "--port", "0", *tls))
        assert message.startswith(f"cannot serve HTTPS with {cert_file} and {key_file}: ")
        assert "SSL" not in message
        assert not re.search("[A-Z]_[A-Z]", message), "OpenSSL's own name for it"
    no_pem = data_dir.with_name("text.pem")
    no_pem.write_text("root:x:0:0")
    damaged = data_dir.with_name("damaged.pem")
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for cert_file, key_file, reason in (
        (no_pem, key, f"there is no certificate in PEM form in {no_pem}"),
        (cert, no_pem, f"there is no private key in PEM form in {no_pem}"),
        (cert, other_key, "the key is another certificate's"),
        (damaged, key, "a certificate or the key is damaged, or the key needs a password"),
        (cert, nowhere, "No such file or directory"),
    ):
        tls = ["--tls-cert", cert_file, "--tls-key", key_file]
        message = refused(call("serve", "--data-dir", data_dir, "--port", "0", *tls))
        assert message.endswith(f": {reason}")
    alone = refused(call("serve", "--data-dir", data_dir, "--tls-cert", cert))
    assert alone == "COMMERCE_TLS_CERT needs COMMERCE_TLS_KEY beside it"
    alone = refused(call("serve", "--data-dir", data_dir, COMMERCE_TLS_KEY=str(key)))
    assert alone == "COMMERCE_TLS_KEY needs COMMERCE_TLS_CERT beside it"
    assert not data_dir.exists()


def own_address() -> str:
    """An address of this machine that is not a loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("198.51.100.1", 9))  # Nothing is sent: it only chooses a way.
        except OSError:
            pytest.skip("this machine has no address but its loopback one")
        return str(line.getsockname()[0])


def test_a_live_key_over_the_line_needs_https_or_a_trusted_proxy_that_says_so(
    data_dir: Path, serve: Serve, call: Call
) -> None:
    address = own_address()
    trusted = {"COMMERCE_TRUSTED_PROXIES": f"{address}/32"}
    server = serve(data_dir, "--network", "both", "--host", "0.0.0.0", **trusted)  # noqa: S104
    assert server.url == server.sandbox["base_url"] == f"http://127.0.0.1:{server.port}"
    assert "Set COMMERCE_BASE_URL to the URL at which others reach it\n" in server.out
    account = server.sandbox["account"]
    keys = {}
    for mode in ("test", "live"):
        made = call("keys", "create", account, "--mode", mode, "--json", "--data-dir", data_dir)
        keys[mode] = made.json["secret"]

    def status(host: str, mode: str, **headers: str) -> tuple[int, str | None]:
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        given["Authorization"] = f"Bearer {keys[mode]}"
        reply = httpx.get(f"http://{host}:{server.port}/v1/account", headers=given)
        body = reply.json()
        return reply.status_code, body.get("error", {}).get("code")

    good, refusal = (200, None), (403, "https_required")
    assert status("127.0.0.1", "test") == status("127.0.0.1", "live") == good
    assert status(address, "test") == good
    assert status(address, "live") == refusal
    assert status(address, "live", X_Forwarded_Proto="https") == good
    assert status(address, "live", X_Forwarded_Proto="http", X_Forwarded_For="::1") == good
    assert status(address, "live", X_Forwarded_Proto="http", X_Forwarded_For="9.9.9.9") == refusal
    browser = {"X_Forwarded_Proto": "https", "Sec_Fetch_Site": "cross-site"}
    assert status(address, "live", **browser) == (403, "secret_key_in_browser")
    for line in server.lines:
        assert not any(key in str(line) for key in keys.values())
