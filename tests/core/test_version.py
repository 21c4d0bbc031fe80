import polyscribe
from core.version import VERSION


def test_the_command_line_is_released_with_the_same_version():
    assert polyscribe.__version__ == VERSION


def test_health_tells_the_version(client):
    assert client.get("/healthz").json() == {"status": "ok", "version": VERSION}
