"""Run folders, device choice and progress: what every script does besides its experiment."""

import contextlib
import csv
import io
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy
import torch

import common
from common import first_process
from common.options import BadInput


def choose_device(args, accelerate=False):
    """The torch.device of `--device` and `--no_cuda`; auto is the CPU unless `accelerate`. Raises
    BadInput if it is not there."""
    wanted = "cpu" if args.no_cuda else args.device
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    there["cpu"] = True
    if wanted == "auto":
        wanted = next(name for name in there if there[name]) if accelerate else "cpu"
    if not there[wanted]:
        raise BadInput(f"there is no {wanted} device on this machine; use --device cpu or auto")
    torch.backends.cudnn.deterministic = True  # the same seed, the same figures
    return torch.device(wanted)


def write_whole(path, data):
    """Write bytes, or text as UTF-8, so that a reader finds the old file or the new one, never a
    part. Raises BadInput naming the file if there is no room for it or no right to write it."""
    with _beside(path) as part:
        part.write_bytes(data.encode("utf-8", "replace") if isinstance(data, str) else data)
        os.replace(part, path)


def check_writable(path):
    """To be called before long work whose result `write_whole` will put into `path`; makes its
    folder. Raises BadInput if the file cannot be written there."""
    with _beside(path) as part:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"")
    if Path(path).is_dir():
        raise BadInput(f"cannot write {path}: it is a folder")


@contextlib.contextmanager
def _beside(path):
    """A name for what is to become `path`, removed at the end; an OSError becomes BadInput."""
    part = Path(path).with_name(f".{Path(path).name}.part")
    try:
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None


class RunFolder:
    """`DIR/<part>/<name>__s<seed>__<time>/`, made before training; raises BadInput if it cannot be.

    args: the parsed options, stored in config.json with `more_config`. part: kuzu, xor or seq.
    name: what is trained, e.g. conv_classic. processes: those that share the run; rank 0 makes the
    folder, what the others write into it has their number in front.
    """

    def __init__(self, args, part, name, device, processes=None, **more_config):
        common.begun = True
        matplotlib.rcdefaults()  # figures in a style of our own, whatever a matplotlibrc says
        rank, self.n_processes = (processes.rank, processes.count) if processes else (0, 1)
        self.prefix = f"process{rank}_" if rank else ""
        if rank == 0:
            self._make(args, part, name, device, more_config)
        if self.n_processes > 1:
            self.path = Path(processes.broadcast(str(self.path) if rank == 0 else None))
            self.path.mkdir(parents=True, exist_ok=True)  # another machine may not see it

    def _make(self, args, part, name, device, more_config):
        stamp = time.strftime("%Y%m%d-%H%M%S")
        base = Path(args.out) / part / f"{name}__s{args.seed}__{stamp}"
        for attempt in range(1, 1000):
            self.path = base if attempt == 1 else Path(f"{base}-{attempt}")
            try:
                self.path.mkdir(parents=True)
                break
            except OSError as error:
                if not self.path.is_dir():
                    raise BadInput(
                        f"cannot make the run folder {base}: {error.strerror}; choose another --out"
                    ) from None
        content = {
            "options": vars(args),
            "command": " ".join([Path(sys.executable).name, *sys.argv]),
            "device": describe(device),
            "versions": {"python": platform.python_version()}
            | {package.__name__: package.__version__ for package in (torch, numpy, matplotlib)},
            "git_commit": git_commit(),
            "started": stamp,
        }
        self.save_json("config.json", content | more_config)

    def save_csv(self, name, rows):
        """Write rows, dicts whose keys are the columns, as CSV; a value a row lacks stays empty."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        self.save_text(name, text.getvalue())

    def save_json(self, name, content):
        """Write `content` as strict JSON: NaN and infinity become null, tensors become lists."""
        text = json.dumps(content, default=lambda v: v.tolist() if hasattr(v, "tolist") else str(v))
        content = json.loads(text, parse_constant=lambda constant: None)
        self.save_text(name, json.dumps(content, indent=2) + "\n")

    def save_model(self, state, name="model.pt"):
        """Write a checkpoint that loads with torch.load(..., weights_only=True)."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        self.save_text(name, buffer.getvalue())

    def save_figure(self, figure, name):
        """Write a matplotlib figure as PNG and free it."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        self.save_text(name, buffer.getvalue())
        figure.clear()

    def save_text(self, name, text):
        """Write text (or bytes), whole."""
        try:
            write_whole(self.path / (self.prefix + name), text)
        except BadInput as error:
            if self.n_processes == 1:
                raise
            raise BadInput(f"{error}; what each process has trained is kept there") from None

    def files_of_all(self, name):
        """The paths of a file that every process of the run has written."""
        prefixes = ["", *(f"process{rank}_" for rank in range(1, self.n_processes))]
        return [self.path / (prefix + name) for prefix in prefixes]

    def discard(self):
        """Remove what a process other than the first has written, and the folder if it is then
        empty (that of another machine)."""
        for path in self.path.glob(f"{self.prefix}*"):
            path.unlink()
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def __str__(self):
        return str(self.path)


def describe(device):
    """A device in words, for files and reports: its kind, its name and what of it is used."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    if device.type != "cpu":
        return str(device)
    info = Path("/proc/cpuinfo")
    found = info.exists() and re.search(r"^model name\s*: (.*)", info.read_text(), re.M)
    name = found[1] if found else platform.processor() or platform.machine()
    units = torch.backends.cpu.get_cpu_capability()  # of its vectors: how it rounds hangs on them
    threads = torch.get_num_threads()
    return f"cpu: {name} ({units}), {threads} thread{'s' * (threads > 1)}"


def git_commit():
    """The commit this checkout is at, with "+" if files differ from it; None outside a checkout."""
    here = Path(__file__).resolve().parents[2]
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}

    def git(*words):
        options = {"stderr": subprocess.DEVNULL, "timeout": 10, "encoding": "utf-8"}
        line = ["git", "-C", here, *words]
        return subprocess.check_output(line, env=environment, **options).strip()

    try:
        top, commit = git("rev-parse", "--show-toplevel", "HEAD").splitlines()
        if Path(top).resolve() != here:
            return None  # a copy that lies in another repository
        return commit + "+" * bool(git("status", "--porcelain"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def progress(quiet=False, **options):
    """A tqdm bar on stderr, shown only on a terminal, by the first process; without tqdm, what does
    nothing instead."""
    try:
        from tqdm import tqdm
    except ImportError:
        return SimpleNamespace(**dict.fromkeys(("update", "clear", "close"), lambda *_: None))
    hidden = quiet or not first_process() or not sys.stderr.isatty()
    return tqdm(disable=hidden, leave=False, **options)
