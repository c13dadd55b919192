"""Certificates are always checked."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from client_stage import JSON_LINES, MakeClient, Pauses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from peers import answer, peer, tunnel

from airflow_provider_catalog.api.errors import OutcomeUnknownError, UnreachableError

BEHIND_PROXY = "platform.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, and for one behind a proxy, that nobody has signed but itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "platform")])
    names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName(BEHIND_PROXY)]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("certificate") / "platform.pem"
    path.write_bytes(private + signed.public_bytes(pem))
    return path


@pytest.fixture(scope="module")
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_platform_with_an_untrusted_certificate_sees_no_request_and_no_second_try(
    make_client: MakeClient, pauses: Pauses, tls: ssl.SSLContext
) -> None:
    with peer(answer(201, '{"id": "B1"}'), tls=tls) as server:
        with pytest.raises(
            UnreachableError, match=r"the certificate of 127\.0\.0\.1:\d+ is not trusted"
        ) as caught:
            make_client(server.url, access_token="ready").create_batch(JSON_LINES)
        assert server.received == []
    assert caught.value.permanent
    assert pauses == []


def test_a_certificate_that_this_machine_trusts_is_good(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, certificate: Path, tls: ssl.SSLContext
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with peer(answer(201, '{"id": "B1"}'), tls=tls) as server:
        assert make_client(server.url, access_token="ready").create_batch(JSON_LINES) == "B1"


def test_an_answer_that_is_lost_behind_a_proxy_leaves_open_whether_there_is_a_batch(
    make_client: MakeClient,
    pauses: Pauses,
    monkeypatch: pytest.MonkeyPatch,
    certificate: Path,
    tls: ssl.SSLContext,
) -> None:
    calls: list[bytes] = []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with peer(tunnel(tls, calls)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        with pytest.raises(OutcomeUnknownError):
            make_client(f"https://{BEHIND_PROXY}", access_token="ready").create_batch(JSON_LINES)
    assert [call.split()[0] for call in calls] == [b"POST"]
    assert pauses == []


def test_a_file_of_certificates_that_is_missing_for_a_while_is_borne(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(UnreachableError, match=r"missing\.pem") as caught:
        make_client(f"https://{BEHIND_PROXY}", access_token="ready").create_batch(JSON_LINES)
    assert (caught.value.permanent, caught.value.sent) == (False, False)
