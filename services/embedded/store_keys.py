"""What closes the ports between the parts of SeaweedFS: keys and a certificate, which are new at each start.

Only S3 asks for a password by itself. Master, volume server and filer answer anybody who reaches their ports, and one
request deletes a bucket with all that is in it. So their gRPC takes only connections with our certificate (mutual TLS),
and their HTTP only requests that one of them has signed. ``weed scaffold -config=security`` explains the file.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.embedded.credentials import write_private
from services.embedded.ports import HOST

FILE = "security.toml"
CERTIFICATE = "grpc.crt"
KEY = "grpc.key"
_PARTS = ("master", "volume", "filer", "s3", "client")
_SIGNED = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")


def write_keys(folder: Path) -> None:
    """Write keys and certificate for the next start into the folder in which SeaweedFS is started (mode 0600)."""
    certificate, key = _certificate()
    write_private(folder / CERTIFICATE, certificate)
    write_private(folder / KEY, key)
    lines = [f'[{name}]\nkey = "{secrets.token_hex(32)}"' for name in _SIGNED]
    lines.append(f"[grpc]\nca = {_quoted(folder / CERTIFICATE)}")
    lines += [
        f"[grpc.{part}]\ncert = {_quoted(folder / CERTIFICATE)}\nkey = {_quoted(folder / KEY)}" for part in _PARTS
    ]
    write_private(folder / FILE, "\n".join(lines) + "\n")


def _quoted(path: Path) -> str:
    return json.dumps(str(path))  # TOML quotes as JSON does


def _certificate() -> tuple[str, str]:
    """Return a self-signed certificate and its key, as PEM: it is its own authority, so no other is accepted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tornio-embedded-store")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks are set back at times
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
