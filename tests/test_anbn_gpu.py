"""A GPU's loops: their source thread by thread on the CPU, its compilation, and itself if there is
one."""

import ctypes
import shutil
import subprocess

import pytest
import torch

from anbn import gpu, models
from anbn.models import MODELS

S, K, H, T = 3, 4, 3, 23
THREAD_BY_THREAD = """
#include <string.h>
#define ON_GPU
#define N_SYMBOLS {symbols}
#define N_HIDDEN {hidden}
#define __device__
#define __global__
#define __forceinline__ inline
struct Place {{ int x; }};
static Place blockIdx, threadIdx, blockDim{{1}};
static float __int_as_float(int bits) {{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}}
#include "{source}"
extern "C" void be(int thread) {{ blockIdx.x = thread; }}
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """gpu.Kernels whose launch runs one thread after another here."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("threads")
    source = folder / "threads.cpp"
    source.write_text(THREAD_BY_THREAD.format(symbols=K, hidden=H, source=gpu.SOURCE))
    made = folder / "threads.so"
    line = [compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(made)]
    subprocess.run(line, check=True)
    library = ctypes.CDLL(str(made))

    def launch(name, n_threads, arguments):
        for thread in range(n_threads + 2):  # a last block is never quite full
            library.be(thread)
            getattr(library, name)(*arguments)

    return gpu.Kernels(launch)


def results(kind, n_batch, dtype, device="cpu"):
    """Logits and gradients of a model of S networks on some sequences."""
    model = MODELS[kind](K, H, seeds=range(S), init=0.8).to(device, dtype)
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randint(0, K, (S, n_batch, T), generator=generator).to(device)
    logits = model(inputs).logits
    gradients = torch.autograd.grad(logits.sin().sum(), list(model.parameters()))
    return [tensor.detach().double().cpu() for tensor in (logits, *gradients)]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("n_batch", [1, 5])
def test_threads_agree_with_double_precision(kernels, monkeypatch, kind, n_batch):
    exact = results(kind, n_batch, torch.float64)
    served = []

    def library_for(across, n_hidden):
        served.append((across.shape[1] - n_hidden, n_hidden))
        return kernels

    monkeypatch.setattr(models, "library_for", library_for)
    for ours, theirs in zip(results(kind, n_batch, torch.float32), exact, strict=True):
        scale = float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, atol=2e-5 * scale, rtol=1e-4)
    assert served == [(K, H)]


@pytest.mark.parametrize("sizes", [(2, 2), (7, 4)])
def test_nvrtc_compiles_the_source(sizes):
    """Needs no GPU, only the compiler that comes with torch for one."""
    try:
        cubin = gpu.compiled("90", *sizes)
    except OSError:
        pytest.skip("no NVRTC")
    assert all(name.encode() in cubin for name in gpu.FUNCTIONS)


def test_a_compiler_that_fails_says_why(monkeypatch, tmp_path):
    broken = tmp_path / "scan.c"
    broken.write_text("not C")
    monkeypatch.setattr(gpu, "SOURCE", broken)
    try:
        with pytest.raises(RuntimeError, match="error"):
            gpu.compiled("90", 2, 2)
    except OSError:
        pytest.skip("no NVRTC")


def test_without_a_gpu_there_are_no_kernels(monkeypatch):
    def missing(*_):
        raise OSError("no such library")

    monkeypatch.setattr(gpu, "compiled", missing)
    assert gpu.load.__wrapped__(2, 2, torch.device("cuda", 0)) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", MODELS)
def test_a_gpu_agrees_with_double_precision(kind):
    device = torch.device("cuda", torch.cuda.current_device())
    assert gpu.load(K, H, device) is not None
    exact = results(kind, 37, torch.float64)
    for ours, theirs in zip(results(kind, 37, torch.float32, device), exact, strict=True):
        scale = float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, atol=2e-5 * scale, rtol=1e-4)
