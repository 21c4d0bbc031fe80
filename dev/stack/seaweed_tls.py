"""Close SeaweedFS's inner ports: `seaweed_tls.py --out DIR [--host NAME] [--owner UID]`.

Its master, volumes, filer and admin server ask for no password, on HTTP as on gRPC: anyone who reaches
the master may delete every bucket. With the `security.toml` written here each of them asks for a certificate
of an authority whose key is forgotten at once, so nobody else ever gets one. S3 has its own signatures.

docker-compose.yml runs this file by itself, in the site's image: it imports nothing of ours.
"""

import argparse
import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = "authority.crt"
CERTIFICATE = "seaweed.crt"
KEY = "seaweed.key"
SETTINGS = "security.toml"
VALID_FOR = timedelta(days=3650)
RENEWED_BEFORE_END = timedelta(days=365)
GRPC_SECTIONS = (
    "master",
    "volume",
    "filer",
    "s3",
    "admin",
    "worker",
    "mq",
    "msg_broker",
    "msg_agent",
    "client",
)
HTTPS_SECTIONS = ("master", "volume", "filer", "admin", "client")


def ensure(folder: Path, *, host: str = "localhost", owner: int | None = None) -> None:
    """Write the certificates and `security.toml` into `folder`, unless good ones are there.

    SeaweedFS reads `$HOME/.seaweedfs/security.toml`. `host` is the name in its `-ip`; `owner` is the user who
    reads the files, where that is somebody else than we.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_good(folder):
        _make(folder, host)
    if owner is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner, owner)


def security_toml(folder: Path) -> str:
    """Return SeaweedFS's settings: every inner port demands a certificate and shows its own."""
    pair = f'cert = "{folder / CERTIFICATE}"\nkey = "{folder / KEY}"\n'
    authority = f'ca = "{folder / AUTHORITY}"\n'
    sections = [f"[grpc]\n{authority}"]
    sections += [f"[grpc.{name}]\n{pair}" for name in GRPC_SECTIONS]
    sections += [f"[https.{name}]\n{pair}{authority}" for name in HTTPS_SECTIONS]
    # `[https.client]` stands last: this line is its own, and tells the parts to speak TLS to each other
    return "\n".join(sections) + "enabled = true\n"


def _is_good(folder: Path) -> bool:
    """Say whether the folder was written whole, for this path, and holds for long enough."""
    settings = folder / SETTINGS
    if not settings.is_file() or settings.read_text() != security_toml(folder):
        return False
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    return certificate.not_valid_after_utc - datetime.now(UTC) > RENEWED_BEFORE_END


def _make(folder: Path, host: str) -> None:
    """Write everything anew; the settings come last, so a folder that has them is whole."""
    (folder / SETTINGS).unlink(missing_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Polyscribe storage")
    authority = _builder(authority_name, authority_name, authority_key)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)

    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _builder(_name("SeaweedFS"), authority_name, key)
    hosts = [x509.DNSName(host), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    both_ways = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = certificate.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    certificate = certificate.add_extension(x509.ExtendedKeyUsage(both_ways), critical=False)

    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(folder / AUTHORITY, authority.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    _write(folder / CERTIFICATE, certificate.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    _write(folder / KEY, private)
    _write(folder / SETTINGS, security_toml(folder).encode())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),  # clocks differ
        not_valid_after=now + VALID_FOR,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _write(file: Path, content: bytes) -> None:
    """Write a private file in one move."""
    new = file.with_name(f"{file.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
    new.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--owner", type=int)
    options = parser.parse_args()
    ensure(options.out, host=options.host, owner=options.owner)


if __name__ == "__main__":
    main()
