"""The recurrence of scan.py from scan.c, compiled on this machine where there is a C compiler.

    library = library_for(across, n_hidden)   # None: scan.py's operations of torch do it
    logits, hidden = CompiledSRN.apply(library, across, V, out_bias, symbols, start)

A step of a network with a few hidden units is a few hundred multiplications, less than the call of
one of torch's operations; here the whole loop over time is one call. The library is kept in the
user's cache folder under a name made of the source and the machine, so that a changed source is
compiled anew, and is put there whole, so that no process reads half of one.

across (S, K+H, G) = [W + hid_bias; U], G = H rows for an SRN, 4H for an LSTM; V (S, H, K); out_bias
(S, K); symbols (S, T, B) int64; start (S, H, B). Gradients flow through the logits alone.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from anbn import gpu
from anbn.gpu import FUNCTIONS, SOURCE

COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-O2", "-march=native", "-std=c11", "-shared", "-fPIC")
PATIENCE = 60  # seconds for the compiler
LARGEST = 2048  # values of `across` per network; beyond, torch's matrix products are faster


class CompiledSRN(torch.autograd.Function):
    """Returns logits (S, T, K, B) and hidden (S, T, H, B)."""

    @staticmethod
    def forward(ctx, library, across, V, out_bias, symbols, start):
        ctx.library, sizes = library, _sizes(V, symbols)
        weights = [part.contiguous() for part in (across, V, out_bias)]
        hidden, logits = _after(start, symbols), _logits(V, symbols)
        library.srn_forward(*weights, symbols, hidden, logits, *sizes)
        ctx.save_for_backward(*weights[:2], symbols, hidden)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(hidden)
        return logits, hidden[:, 1:]

    @staticmethod
    def backward(ctx, grad, _hidden):
        across, V, symbols, hidden = ctx.saved_tensors
        sums, d_start = _sums(across, V), torch.empty_like(hidden[:, 0])
        arguments = (across, V, symbols, hidden, grad.contiguous(), *sums, d_start)
        ctx.library.srn_backward(*arguments, *_sizes(V, symbols))
        return None, *(part.float() for part in sums), None, d_start


class CompiledLSTM(torch.autograd.Function):
    """Returns logits (S, T, K, B), hidden and cell (S, T, H, B) and gates (S, T, 4H, B)."""

    @staticmethod
    def forward(ctx, library, across, V, out_bias, symbols, start_hidden, start_cell):
        ctx.library, sizes = library, _sizes(V, symbols)
        weights = [part.contiguous() for part in (across, V, out_bias)]
        hidden, cell = _after(start_hidden, symbols), _after(start_cell, symbols)
        n_networks, n_steps, _, n_hidden, n_batch = sizes
        gates = hidden.new_empty(n_networks, n_steps, 4 * n_hidden, n_batch)
        squashed = hidden.new_empty(n_networks, n_steps, n_hidden, n_batch)  # tanh of the cell
        logits = _logits(V, symbols)
        kept = (hidden, cell, gates, squashed)
        library.lstm_forward(*weights, symbols, *kept, logits, *sizes)
        ctx.save_for_backward(*weights[:2], symbols, *kept)
        reported = (hidden[:, 1:], cell[:, 1:], gates)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*reported)
        return logits, *reported

    @staticmethod
    def backward(ctx, grad, *_):
        across, V, symbols, *kept = ctx.saved_tensors
        starts = [torch.empty_like(kept[0][:, 0]) for _ in range(2)]
        sums = _sums(across, V)
        arguments = (across, V, symbols, *kept, grad.contiguous(), *sums, *starts)
        ctx.library.lstm_backward(*arguments, *_sizes(V, symbols))
        return None, *(part.float() for part in sums), None, *starts


def _sizes(V, symbols):
    """S, T, K, H, B."""
    (n_networks, n_steps, n_batch), (_, n_hidden, n_symbols) = symbols.shape, V.shape
    return n_networks, n_steps, n_symbols, n_hidden, n_batch


def _after(start, symbols):
    """(S, T+1, H, B): the start, and places for what comes after each step."""
    n_networks, n_hidden, n_batch = start.shape
    values = start.new_empty(n_networks, symbols.shape[1] + 1, n_hidden, n_batch)
    values[:, 0] = start
    return values


def _logits(V, symbols):
    return V.new_empty(*symbols.shape[:2], V.shape[2], symbols.shape[2])


def _sums(across, V):
    """Zeros in double precision for the gradients of across, V and out_bias."""
    shapes = across.shape, V.shape, V[:, 0].shape
    return [across.new_zeros(shape, dtype=torch.float64) for shape in shapes]


def library_for(across, n_hidden):
    """The library, or the kernels of gpu.py, if they serve networks with these weights; else
    None."""
    size, device = across[0].numel(), across.device
    if across.dtype != torch.float32:
        return None
    if device.type == "cpu" and size <= LARGEST:
        return load()
    if device.type == "cuda" and size <= gpu.LARGEST:
        return gpu.load(across.shape[1] - n_hidden, n_hidden, device)
    return None


@functools.cache
def load():
    """The compiled scan.c, or None where it cannot be had."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    try:
        source = SOURCE.read_bytes()
        made_by = f"{compiler} {OPTIONS} {platform.platform()} {_processor()}"
        key = hashlib.sha256(source + made_by.encode()).hexdigest()[:16]
        place = cache_folder() / f"scan-{key}.so"
        if not place.exists():
            if compiler is None:
                return None
            compile_into(place, compiler)
        return Library(ctypes.CDLL(str(place)))
    except (OSError, RuntimeError, subprocess.SubprocessError):
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


def compile_into(place, compiler):
    """Compile scan.c; `place` appears whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        made = Path(folder) / place.name
        line = [compiler, *OPTIONS, str(SOURCE), "-o", str(made)]
        subprocess.run(line, check=True, capture_output=True, timeout=PATIENCE)
        os.replace(made, place)


class Library:
    """The functions of scan.c, called with tensors and whole numbers."""

    def __init__(self, library):
        for name in FUNCTIONS:
            setattr(self, name, functools.partial(_call, getattr(library, name)))


def _call(function, *arguments):
    passed = []
    for argument in arguments:
        if isinstance(argument, torch.Tensor):
            if not argument.is_contiguous():
                raise ValueError(f"a tensor {tuple(argument.shape)} is not contiguous")
            passed.append(ctypes.c_void_p(argument.data_ptr()))
        else:
            passed.append(ctypes.c_int(argument))
    function(*passed)
