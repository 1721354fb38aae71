"""The download of KMNIST: its four files, checked, whole or not at all, and never for ever."""

import contextlib
import hashlib
import http.client
import os
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from .files import DataError

SERVER = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
TIMEOUT_S = 4  # for the server's first answer; three times as long for any later one
MIN_RATE = 10_000  # bytes per second, below which the download is given up
MAX_BYTES = 50_000_000  # of a file; the largest has 18 million


class Unreachable(DataError):
    """The server did not answer, or not as it should."""


def download(data_dir, report=None):
    """Download KMNIST into data_dir/KMNIST/raw. Raises Unreachable within a few seconds if the
    server does not answer or hardly sends anything. report: called with a line of text once it has
    answered."""
    if not server_answers():
        raise Unreachable(
            f"There is no KMNIST in {data_dir}, and its server {SERVER} cannot be reached."
        )
    if report is not None:
        report(f"Downloading KMNIST (21 MB) from {SERVER} into {data_dir}")
    from torchvision.datasets import KMNIST

    try:
        os.makedirs(data_dir, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=".download-") as unfinished:
            new = Path(unfinished) / "raw"
            new.mkdir()
            for name, md5 in KMNIST.resources:
                fetch(SERVER + name, new / name, md5)
            publish(new, Path(data_dir) / "KMNIST" / "raw")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"The download of KMNIST into {data_dir} failed: {error}.") from None


def fetch(url, path, md5):
    """Download one file. Raises OSError if it is too slow, too long or not the official one."""
    start, n_bytes, checksum = time.monotonic(), 0, hashlib.md5()
    with urllib.request.urlopen(url, timeout=3 * TIMEOUT_S) as answer, open(path, "wb") as file:
        while n_bytes <= MAX_BYTES and (chunk := answer.read1(1 << 16)):  # whatever has come
            file.write(chunk)
            checksum.update(chunk)
            n_bytes += len(chunk)
            seconds = time.monotonic() - start
            if seconds > 3 * TIMEOUT_S and n_bytes < MIN_RATE * seconds:
                raise OSError(f"only {n_bytes:,} bytes came in {seconds:.0f} s")
    if checksum.hexdigest() != md5:
        raise OSError(f"{url} is not the official file (or not all of it)")


def publish(new, raw):
    """Move the folder `new` to `raw`: at once if there is nothing; file by file if other files lie
    there, such as those of another run that was faster."""
    raw.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(new, raw)
    except OSError:
        raw.mkdir(exist_ok=True)
        for file in new.iterdir():
            os.replace(file, raw / file.name)


def server_answers():
    """Whether the server answers within TIMEOUT_S. Asked in a thread, since the look-up of its name
    has no time limit of its own."""
    answers = []

    def ask():
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            request = urllib.request.Request(SERVER, method="HEAD")
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S):
                    answers.append(True)
            except urllib.error.HTTPError as error:
                answers.append(error.code in (403, 404, 405))  # it is there; of its files see fetch

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    return any(answers)
