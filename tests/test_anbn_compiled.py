"""scan.c against the plain recurrence, its functions against double precision, and its cache."""

import os
import shutil

import pytest
import torch
from test_anbn_loss import MEAN, some_batch

from anbn import compiled
from anbn.loss import loss_and_gradients, plain_loss_and_gradients
from anbn.models import LSTM, MODELS, SRN, State

needs_compiler = pytest.mark.usefixtures("c_compiler")
SIZES = [(2, 1), (3, 2), (3, 3), (7, 4), (26, 2)]  # symbols, hidden units


def models(kind, n_symbols, n_hidden):
    """The same three networks in single and in double precision."""
    single = MODELS[kind](n_symbols, n_hidden, seeds=[0, 1, 2], init=0.7)
    return single, single.select([0, 1, 2]).double()


@needs_compiler
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("n_symbols, n_hidden", SIZES)
@pytest.mark.parametrize("n_batch", [1, 8, 21])
def test_reading_agrees_with_the_plain_recurrence(kind, n_symbols, n_hidden, n_batch):
    """Full registers and what is left over; inputs of each network's own and shared; a start."""
    single, exact = models(kind, n_symbols, n_hidden)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, n_symbols, (3, n_batch, 12), generator=generator)
    gain = torch.linspace(0.5, 1.5, n_hidden * single.gate_rows)
    drawn = torch.rand(2, 3, n_batch, n_hidden, generator=generator)
    start = State(*drawn[: 2 if kind == "lstm" else 1])
    exact_start = State(*(part.double() for part in start[:2] if part is not None))
    assert compiled.library_for(single) and not compiled.library_for(exact)
    with torch.no_grad():
        pairs = (
            (single(inputs), exact(inputs)),
            (single(inputs[0], gain=gain), exact(inputs[0], gain=gain)),
            (single(inputs, start), exact(inputs, exact_start)),
        )
    for ours, plain in pairs:
        for part, expected in zip(ours, plain, strict=True):
            if expected is None:
                assert part is None
            else:
                torch.testing.assert_close(part.double(), expected, atol=2e-5, rtol=1e-5)


@needs_compiler
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("n_hidden", [1, 2, 4])
@pytest.mark.parametrize("n_batch", [1, 8, 21])
@pytest.mark.parametrize("mean, gain", [(None, None), (MEAN, 1.5)])
def test_losses_and_gradients_agree_with_the_plain_ones(kind, n_hidden, n_batch, mean, gain):
    single, exact = models(kind, 3, n_hidden)
    batch = some_batch(3, n_batch, 30)
    assert compiled.library_for(single)
    ours = loss_and_gradients(single, batch, 0.4, mean, gain)
    for reference in (exact, single):
        plain = plain_loss_and_gradients(reference, batch, 0.4, mean, gain)
        for value, expected in zip(ours, plain, strict=True):
            scale = max(1.0, float(expected.abs().max()))
            torch.testing.assert_close(
                value.double(), expected.double(), atol=1e-5 * scale, rtol=1e-5
            )


@needs_compiler
def test_tanh_sigmoid_and_logarithm_are_as_exact_as_single_precision():
    """Pre-activations from -100 to 100 and near 0, one for each symbol."""
    x = torch.cat([torch.linspace(-100, 100, 101), torch.logspace(-6, 0, 50)])
    x = torch.cat([x, -x])[:250]
    symbols = torch.arange(len(x))[:, None]
    zero = {
        "H0": torch.zeros(1, 1), "U": torch.zeros(1, 1, 1), "hid_bias": torch.zeros(1, 1),
        "V": torch.zeros(1, 1, len(x)), "out_bias": torch.zeros(1, len(x)),
    }  # fmt: skip
    gates = {"U": torch.zeros(1, 1, 4), "hid_bias": torch.zeros(1, 4)}
    with torch.no_grad():
        srn = SRN.from_parameters({**zero, "W": x[None, :, None]})
        lstm = LSTM.from_parameters({**zero, **gates, "W": x[None, :, None].repeat(1, 1, 4)})
        assert compiled.library_for(srn) and compiled.library_for(lstm)
        tanh = srn(symbols).hidden.flatten()
        sigmoid = lstm(symbols).output_gate.flatten()
    exact = x.double()
    torch.testing.assert_close(tanh.double(), exact.tanh(), rtol=5e-7, atol=0)
    torch.testing.assert_close(sigmoid.double(), exact.sigmoid(), rtol=3e-6, atol=1e-38)
    assert sigmoid[0] == 0  # a shut gate lets nothing at all through


@needs_compiler
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 1e4])
def test_log_softmax_is_as_exact_as_single_precision(scale):
    """The read-out's biases alone make the logits."""
    model = SRN(3, 1, seeds=range(3))
    flat = model.flatten_parameters().zero_()
    generator = torch.Generator().manual_seed(1)
    flat[:, -3:] = scale * torch.randn(3, 3, generator=generator)
    batch = some_batch(4)
    double = model.select([0, 1, 2]).double()
    ours, exact = (loss_and_gradients(each, batch) for each in (model, double))
    for value, expected in zip(ours, exact, strict=True):
        torch.testing.assert_close(value.double(), expected, atol=2e-7, rtol=1e-6)


@needs_compiler
def test_networks_too_large_are_read_by_torch():
    few, many = LSTM(3, 10, seeds=[0]), LSTM(3, 40, seeds=[0])
    assert compiled.code_in_use(few).startswith("scan.c, compiled by ")
    assert compiled.code_in_use(many) == compiled.code_in_use(few.double()) == "torch operations"
    assert SRN(400, 1).n_symbols > compiled.MAX_SYMBOLS  # a symbol is a byte there
    assert compiled.code_in_use(SRN(400, 1)) == "torch operations"


# ---- compiling, and the cache


@pytest.fixture
def builds(monkeypatch, tmp_path):
    """An empty cache folder; a list with an entry for every time that the library is compiled."""
    times, build = [], compiled._built
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "OPTIONS", (*compiled.OPTIONS, "-O0"))  # compiles fast
    monkeypatch.setattr(compiled, "_built", lambda *a: times.append(1) or build(*a))
    return times


def load():
    """As a new process does."""
    return compiled.load.__wrapped__()


def kept():
    (path,) = compiled.cache_folder().glob("*.so")
    return path


@needs_compiler
def test_the_library_is_compiled_once(builds):
    assert load().compiler == load().compiler != ""
    assert len(builds) == 1 and kept().stat().st_mode & 0o777 == 0o700


@needs_compiler
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, 8192),
        lambda path: os.truncate(path, 0),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
        lambda path: path.chmod(0o722),
        lambda path: path.parent.chmod(0o777),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_what_is_damaged_or_others_can_write_is_compiled_anew(builds, tmp_path, damage):
    assert load()
    copy = shutil.copy(kept(), tmp_path / "copy")  # the file itself is in this process's memory
    os.replace(copy, kept())
    damage(kept())
    assert load() and len(builds) == 2


@needs_compiler
def test_what_belongs_to_another_user_is_left_alone(builds, monkeypatch):
    assert load()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    before = kept()
    assert load() and len(builds) == 2 and kept() == before  # the new one is in no folder


@needs_compiler
def test_a_library_that_computes_something_else_is_not_used(builds, monkeypatch, tmp_path):
    wrong = tmp_path / "scan.c"
    wrong.write_text(compiled.SOURCE.read_text().replace("e / (e + 2.0f)", "e / (e + 2.1f)"))
    monkeypatch.setattr(compiled, "SOURCE", wrong)
    assert load() is None and len(builds) == 1


@pytest.mark.parametrize("compiler", ["/nonexistent", "false", "'", "true"])
def test_without_a_compiler_there_is_no_library(builds, monkeypatch, compiler):
    monkeypatch.setenv("CC", compiler)
    assert load() is None and not list(compiled.cache_folder().glob("*"))
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert load() is None


@needs_compiler
def test_the_compiler_of_the_environment_is_taken(builds, monkeypatch):
    found = next(filter(None, map(shutil.which, compiled.COMPILERS)))
    monkeypatch.setenv("CC", f"{found} -DLANES_ARE=8")
    monkeypatch.setattr(compiled, "COMPILERS", ())
    assert load() and len(builds) == 1
