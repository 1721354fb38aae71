"""The download against a server of our own: good, broken, slow, interrupted, two at once."""

import contextlib
import hashlib
import http.server
import os
import threading
import time

import kuzu_main
import pytest
from test_kuzu_data import NAMES, idx

from kuzu import download
from kuzu.data import load, load_kana
from kuzu.download import Unreachable

datasets = pytest.importorskip("torchvision.datasets")  # it imports much


@pytest.fixture(scope="module")
def drawn():
    return load_kana(40, 20, seed=9)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The servers are on this machine."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server(monkeypatch, drawn):
    """Serves the drawn images as KMNIST's files; `serve[name]` may be changed, and be a function
    that writes to the connection."""
    serve = {f"{name}.gz": idx(getattr(drawn, field)) for field, name in NAMES.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            content = serve[self.path.strip("/")]
            with contextlib.suppress(ConnectionError):  # given up by who asked
                content(self.wfile) if callable(content) else self.wfile.write(content)

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    # The files are served plain under their gzip names, with the checksums that this gives.
    names = [(name, hashlib.md5(content).hexdigest()) for name, content in serve.items()]
    monkeypatch.setattr(download, "SERVER", f"http://127.0.0.1:{httpd.server_port}/")
    monkeypatch.setattr(datasets.KMNIST, "resources", names)
    yield serve
    httpd.shutdown()


def downloaded(folder):
    """What lies in the folder, by name."""
    return {path.name: path.read_bytes() for path in (folder / "KMNIST" / "raw").iterdir()}


@pytest.mark.parametrize("there", ["", "KMNIST", "KMNIST/raw"])
def test_into_folders_that_are_there_and_empty(tmp_path, server, there):
    (tmp_path / "new" / there).mkdir(parents=True)
    told = []
    download.download(tmp_path / "new", told.append)
    assert downloaded(tmp_path / "new") == server
    assert os.listdir(tmp_path / "new") == ["KMNIST"] and len(told) == 1


def test_files_of_others_stay(tmp_path, server):
    (tmp_path / "KMNIST" / "raw").mkdir(parents=True)
    (tmp_path / "KMNIST" / "raw" / "notes.txt").write_text("mine")
    download.download(tmp_path)
    assert downloaded(tmp_path) == {**server, "notes.txt": b"mine"}


def test_two_first_runs_at_once(tmp_path, server):
    failed = []

    def first_run():
        try:
            download.download(tmp_path)
        except Unreachable as error:
            failed.append(error)

    runs = [threading.Thread(target=first_run) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert not failed and downloaded(tmp_path) == server
    assert os.listdir(tmp_path) == ["KMNIST"]


@pytest.mark.parametrize("broken", [b"<html>log in first</html>", b""])
def test_a_failed_download_leaves_nothing(tmp_path, server, broken):
    server["t10k-images-idx3-ubyte.gz"] = broken
    with pytest.raises(Unreachable, match="not the official file"):
        download.download(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []


def test_a_server_that_sends_a_byte_at_a_time_is_given_up(tmp_path, server, monkeypatch):
    def drip(stream):
        for _ in range(600):
            stream.write(b"x")
            stream.flush()
            time.sleep(0.05)

    server["train-images-idx3-ubyte.gz"] = drip
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    start = time.monotonic()
    with pytest.raises(Unreachable, match="only .* bytes came"):
        download.download(tmp_path)
    assert time.monotonic() - start < 5
    assert os.listdir(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path, server, monkeypatch):
    """SIGTERM and Ctrl-C both arrive as KeyboardInterrupt (common.options.run)."""

    def interrupted(url, path, md5):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "fetch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.download(tmp_path)
    assert os.listdir(tmp_path) == []


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SERVER", "http://127.0.0.1:1/")
    with pytest.raises(Unreachable, match="cannot be reached"):
        download.download(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written(tmp_path, server):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match="failed"):
        download.download(tmp_path / "file")


@pytest.fixture
def plain_names(server, monkeypatch):
    """The files under their plain names, so that they can be read."""
    for name in NAMES.values():
        server[name] = server.pop(f"{name}.gz")
    names = [(name, hashlib.md5(content).hexdigest()) for name, content in server.items()]
    monkeypatch.setattr(datasets.KMNIST, "resources", names)


def test_auto_reads_what_it_downloads(tmp_path, plain_names, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = load("auto")
    assert data.title == "images in data (40 train / 20 test)" and not data.note


def test_a_download_is_no_warning(tmp_path, plain_names, within):
    words = ("--net", "lin", "--epochs", 1, "--out", tmp_path, "--data_dir", tmp_path / "new")
    done = within(kuzu_main, *words)
    assert done.returncode == 0 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("kuzu_main.py: Downloading KMNIST (21 MB) from http://127.0.0.1")
