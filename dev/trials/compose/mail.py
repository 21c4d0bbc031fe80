"""A mail server for the trial: it takes every mail, by SMTP with STARTTLS and a login as the site does it."""

import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

from stack.api import wait_until
from trials.debian import run

HOST = "mail.trial"
USER = "trial"
MAIL_WITHIN_S = 30.0
LINK = re.compile(r"https://[^/\s]+(/\S+)")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return a new certificate for the server's name, which is its own authority, and its key."""
    certificate, key = folder / "mail.crt", folder / "mail.key"
    kind = ["-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    run(["openssl", "req", *kind, *names, *usage, "-keyout", str(key), "-out", str(certificate)])
    certificate.chmod(0o644)
    return certificate, key


class Mailbox:
    """What came."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.mails: list[bytes] = []

    def await_link(self, address: str) -> str:
        """Return the path that the newest mail to an address leads to, once it is there. Raises Miss."""
        wait_until(
            lambda: bool(self._links(address)), within_s=MAIL_WITHIN_S, what=f"no mail came to {address}"
        )
        return self._links(address)[-1]

    def _links(self, address: str) -> list[str]:
        links = []
        for content in list(self.mails):
            mail = message_from_bytes(content, policy=policy.default)
            body = mail.get_body(("plain",))
            found = LINK.search(body.get_content()) if body else None
            if address in str(mail["To"]) and found:
                links.append(found.group(1))
        return links


@contextmanager
def receiving(address: str, port: int, certificate: Path, key: Path) -> Iterator[Mailbox]:
    """Take mail at an address of this host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    mailbox = Mailbox(context)

    class Session(_Session):
        box = mailbox

    with _Server((address, port), Session) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield mailbox
        finally:
            server.shutdown()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class _Session(socketserver.StreamRequestHandler):
    """One client's commands (RFC 5321, as far as Django's client uses them)."""

    box: Mailbox

    def handle(self) -> None:
        self._send("220 trial")
        while line := self.rfile.readline():
            command = line.split()[0].upper() if line.split() else b""
            if command == b"EHLO":
                self._send("250-trial\r\n250-STARTTLS\r\n250 AUTH PLAIN")
            elif command == b"STARTTLS":
                self._send("220 go on")
                self.connection = self.box.context.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
            elif command == b"AUTH":
                self._send("235 welcome")
            elif command == b"DATA":
                self._send("354 go on")
                self.box.mails.append(self._read_mail())
                self._send("250 taken")
            elif command == b"QUIT":
                return self._send("221 bye")
            else:
                self._send("250 yes")

    def _read_mail(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def _send(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
