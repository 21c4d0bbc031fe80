"""Notices over a real SMTP dialogue: one connection for all, and each answer of the server is understood."""

import re
import socketserver
import threading
from collections.abc import Iterator

import pytest

from events.models import EventType
from events.notices import sending
from tests.events.notices.conftest import statuses

pytestmark = pytest.mark.django_db


class SmtpDialogue(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as a client needs (RFC 5321), and keeps what it is sent."""

    def handle(self) -> None:
        """Answer line after line until the client says QUIT, or the server is told to break off."""
        server = self.server
        assert isinstance(server, SmtpServer)
        server.connections += 1
        self.say("220 mail.example.org")
        while line := self.rfile.readline().decode().strip():
            command = line.upper()
            if command.startswith("RCPT") and any(name in line for name in server.unknown):
                self.say("550 no such mailbox")
            elif command == "DATA":
                self.say("354 go on")
                server.taken.append(self.read_mail())
                if server.breaks_off:
                    return
                self.say("250 taken")
            elif command == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def read_mail(self) -> str:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        return b"".join(lines).decode()


class SmtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SmtpDialogue)
        self.taken: list[str] = []
        self.connections = 0
        self.unknown: set[str] = set()
        self.breaks_off = False


@pytest.fixture
def smtp(settings) -> Iterator[SmtpServer]:
    """A mail server of the test's own, to which the site sends."""
    with SmtpServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host, port = server.server_address
        settings.MAILERS = {
            "default": {
                "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "OPTIONS": {"host": host, "port": port, "timeout": 60},
            }
        }
        yield server
        server.shutdown()


def test_all_that_is_due_goes_over_one_connection(smtp, happen, settings):
    happen(EventType.STYLE_SHARED)
    happen(EventType.KEY_CREATED)
    assert sending.send_due() == 4
    assert smtp.connections == 1
    assert statuses() == ["sent"] * 4
    first = smtp.taken[0]
    address = re.escape(settings.SITE_URL)
    assert re.search(rf"^List-Unsubscribe: <{address}/notices/unsubscribe/\S+/>\r$", first, re.M)
    assert re.search(r"^List-Unsubscribe-Post: List-Unsubscribe=One-Click\r$", first, re.M)
    assert re.search(r"^Message-ID:\s+<\S+@\S+>\r$", first, re.M)
    assert "text/plain" in first
    assert "text/html" in first


def test_one_mailbox_that_is_gone_holds_up_nobody(smtp, happen, clock):
    smtp.unknown = {"alice@example.org"}
    happen(EventType.STYLE_SHARED)
    happen(EventType.WORKSPACE_SUSPENDED)
    assert sending.send_due() == 2
    assert sorted(statuses()) == ["failed", "failed", "sent", "sent"]
    assert len(smtp.taken) == 2
    clock.move(hours=2)
    assert sending.send_due() == 0


def test_a_server_that_breaks_off_before_its_answer_gets_the_mail_again_under_its_id(smtp, happen, clock):
    smtp.breaks_off = True
    happen(EventType.WEBHOOK_DISABLED)
    assert sending.send_due() == 0
    assert statuses() == ["pending"]
    smtp.breaks_off = False
    clock.move(minutes=2)
    assert sending.send_due() == 1
    ids = [re.search(r"^Message-ID:\s+(\S+)", mail, re.M).group(1) for mail in smtp.taken]
    assert len(ids) == 2
    assert ids[0] == ids[1]


def test_no_server_at_all_loses_nothing(smtp, happen, settings, clock):
    there = settings.MAILERS
    away = {**there["default"]["OPTIONS"], "port": 1}
    settings.MAILERS = {"default": {**there["default"], "OPTIONS": away}}
    happen(EventType.STYLE_SHARED)
    assert sending.send_due() == 0
    assert statuses() == ["pending", "pending"]
    settings.MAILERS = there
    clock.move(minutes=10)
    assert sending.send_due() == 2
