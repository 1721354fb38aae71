"""The recurrence and its gradients from scan.c, compiled on this machine where there is a compiler.

    library = library_for(model)      # None: the plain recurrence of models.py does it
    State(*library.read(model, inputs, state, gain))
    loss, cross_entropy, gradients = library.train(model, batch, stochastic_weight, mean, gain)

A step of a small network is less work than the call of one of torch's operations; here a whole
batch, forwards and back, is one call. Nothing depends on this file but speed.

The library is compiled when first needed and kept in the user's cache folder under a name made of
the source, the compiler, the processor and its own checksum. Only what fits that checksum, and what
nobody but the user can write, is loaded; and it must first agree with the plain recurrence.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("scan.c")
COMPILERS = ("cc", "gcc", "clang")
LANES = 8  # sequences that scan.c reads together
OPTIONS = ("-O3", "-march=native", "-ffp-contract=fast", "-std=c11", "-shared", "-fPIC")
OPTIONS += (f"-DLANES={LANES}",)
TIMEOUT_S = 60  # for the compiler
MAX_WEIGHTS = 2048  # recurrent weights per network; beyond, torch's matrix products are faster
MAX_SYMBOLS = 256  # symbols are passed as bytes


def library_for(model):
    """The Library, if it can be had and serves this model; else None."""
    if model.U.dtype != torch.float32 or model.U.device.type != "cpu":
        return None
    size = model.W[0].numel() + model.U[0].numel()
    return load() if size <= MAX_WEIGHTS and model.n_symbols <= MAX_SYMBOLS else None


def code_in_use(model):
    """What reads and trains this model, for people."""
    library = library_for(model)
    return f"scan.c, compiled by {library.compiler}" if library else "torch operations"


class Library:
    """The functions of a compiled scan.c. Raises OSError or ValueError if the file has none."""

    def __init__(self, path):
        library = ctypes.CDLL(str(path))
        self._read, self._train = library.scan_read, library.scan_train
        self._closure = library.scan_closure
        self._read.restype = self._train.restype = self._closure.restype = None
        self.compiler = ctypes.c_char_p.in_dll(library, "COMPILER").value.decode()

    def read(self, model, inputs, start, gain):
        """The parts of a models.State, with logits, of inputs (B, T) or (S, B, T) from a State."""
        n_batch, n_steps = inputs.shape[-2:]
        n_hidden, lstm = model.n_hidden, model.kind == "lstm"
        hidden, cell, gates, logits = (
            torch.empty(model.n_networks, n_batch, n_steps, width) if width else None
            for width in (n_hidden, lstm * n_hidden, 4 * lstm * n_hidden, model.n_symbols)
        )
        starts = [None if part is None else part.contiguous() for part in start[:2]]
        symbols, shared = inputs.to(torch.uint8).contiguous(), inputs.dim() == 2
        arguments = symbols, shared, *starts, logits, hidden, cell, gates
        self._call(self._read, model, model.flat(), gain, arguments, n_batch, n_steps)
        return hidden, cell, *(gates.chunk(4, -1) if lstm else 4 * [None]), logits

    def train(self, model, batch, stochastic_weight, mean, gain):
        """loss.loss_and_gradients."""
        symbols, valid, deterministic = (part.contiguous() for part in batch)
        losses = torch.empty(2, model.n_networks, dtype=torch.float64)
        weights = model.flat()
        gradients = torch.empty_like(weights)
        mean = None if mean is None else mean.float().contiguous()
        loss = ctypes.c_float(stochastic_weight), mean, gradients, losses
        arguments = symbols.to(torch.uint8), valid, deterministic, *loss
        self._call(self._train, model, weights, gain, arguments, *valid.shape[1:])
        return *losses, gradients

    def closure(self, model, symbols, ends, gain):
        """loss.closure_gradients of symbols (N, T) and the ends (N, M) that count."""
        weights, symbols = model.flat(), symbols.to(torch.uint8).contiguous()
        gradients, ends = torch.empty_like(weights), ends.int().contiguous()
        arguments = symbols, ends, ends.shape[1], gradients
        self._call(self._closure, model, weights, gain, arguments, *symbols.shape, len(symbols))
        return gradients

    def _call(self, function, model, weights, gain, arguments, n_batch, n_steps, n_kept=1):
        """n_kept: sequences whose steps are kept until all have been read."""
        n_hidden, columns = model.n_hidden, model.gate_rows * model.n_hidden
        gain = torch.as_tensor(1.0 if gain is None else gain, dtype=torch.float32)
        gain = gain.expand(columns).contiguous()
        width = (4 * n_hidden + columns + model.n_symbols + 1) * LANES
        steps = torch.empty(-(-n_kept // LANES), n_steps + 1, width)
        sizes = model.n_networks, n_steps, model.n_symbols, n_hidden, n_batch
        passed = model.kind == "lstm", weights, gain, *arguments, steps, *sizes
        function(*(ctypes.c_void_p(x.data_ptr()) if torch.is_tensor(x) else x for x in passed))


@functools.cache
def load():
    """The Library, or None where it cannot be had."""
    try:
        compiler = shlex.split(os.environ.get("CC", "")) or [*filter(shutil.which, COMPILERS)][:1]
        if not compiler or not shutil.which(compiler[0]):
            return None
        made_by = f"{compiler} {OPTIONS} {platform.platform()} {_processor()}"
        key = hashlib.sha256(SOURCE.read_bytes() + made_by.encode()).hexdigest()[:16]
        library = _kept(cache_folder(), key) or _built(compiler, cache_folder(), key)
        return library if agrees(library) else None
    except (OSError, RuntimeError, ValueError, AttributeError, subprocess.SubprocessError):
        return None


def _processor():
    """What -march=native depends on, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return " ".join(line for line in lines if line.startswith(("model name", "flags")))


def cache_folder():
    """This project's folder in the user's cache (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kuzu-xor-anbn"


def _private(path):
    """Whether it belongs to the user and nobody else can write it."""
    return path.stat().st_uid == os.getuid() and not path.stat().st_mode & 0o022


def _name(key, content):
    return f"scan-{key}-{hashlib.sha256(content).hexdigest()[:32]}.so"


def _kept(folder, key):
    """The Library in the cache folder, or None."""
    for path in folder.glob(f"scan-{key}-*.so") if folder.is_dir() and _private(folder) else ():
        if path.is_file() and _private(path) and path.name == _name(key, path.read_bytes()):
            return Library(path)
    return None


def _built(compiler, folder, key):
    """A new Library, kept in the cache folder where that is private, whole or not at all."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep = _private(folder) and os.access(folder, os.W_OK)
    except OSError:
        keep = False
    with tempfile.TemporaryDirectory(dir=folder if keep else None) as private:
        made = Path(private) / "scan.so"
        line = [*compiler, *OPTIONS, str(SOURCE), "-o", str(made)]
        quiet = {"stdin": subprocess.DEVNULL, "capture_output": True}
        subprocess.run(line, check=True, timeout=TIMEOUT_S, **quiet)
        made.chmod(0o700)
        with contextlib.suppress(OSError):
            made = made.replace(folder / _name(key, made.read_bytes())) if keep else made
        return Library(made)  # which stays loaded when a private folder goes


@torch.enable_grad()  # or the model would take the library
def agrees(library):
    """Whether a library does on a small batch what the plain recurrence does."""
    from anbn.loss import Batch, plain_closure_gradients, plain_loss_and_gradients
    from anbn.models import MODELS

    symbols = torch.arange(2 * 9 * 5).view(2, 9, 5) * 7 % 11 % 3  # (S, B, T + 1)
    read, deterministic = symbols[..., :-1], symbols[..., :-1] > 0
    batch = Batch(symbols, torch.ones_like(deterministic), deterministic)
    for kind in MODELS.values():
        model = kind(3, 2, seeds=(0, 1))
        training = model, batch, 0.5, torch.eye(3) / 2 + 1 / 6, None
        closing = model, read[0], torch.full((9, 1), 4), None
        ours = *library.train(*training), library.closure(*closing)
        ours += (library.read(model, read, model.start(9), None)[0],)
        plain = *plain_loss_and_gradients(*training), plain_closure_gradients(*closing)
        plain += (model(read).hidden,)
        pairs = zip(ours, plain, strict=True)
        if not all(torch.allclose(*pair, atol=1e-4) for pair in pairs):
            return False
    return True
