"""SRN and LSTM against torch.nn, finite differences, and each network of several against itself."""

import pytest
import torch
from torch import nn

from anbn import compiled, models
from anbn.counting import CountingLanguage
from anbn.models import LSTM, MODELS, SRN, ModelError, State
from anbn.scan import LSTMScan, SRNScan

S, B, T, K, H = 3, 5, 17, 4, 3


@pytest.fixture(autouse=True, params=["scan.c", "torch"])
def recurrence(request, monkeypatch):
    """Every test twice: with the compiled loops, where there is a compiler, and without."""
    if request.param == "torch":
        monkeypatch.setattr(models, "library_for", lambda *_: None)
    elif compiled.load() is None:
        pytest.skip("no C compiler")
    return request.param


def some_inputs(shape=(S, B, T), seed=0):
    return torch.randint(0, K, shape, generator=torch.Generator().manual_seed(seed))


def some_model(kind, dtype=torch.float64):
    return MODELS[kind](K, H, seeds=[3, 4, 5], init=0.8).to(dtype)


def torch_layer(model, s):
    """Network s as a layer of torch.nn, with the same numbers; it takes one-hot symbols."""
    rows = nn.LSTM if model.kind == "lstm" else nn.RNN
    layer = rows(K, H, batch_first=True).to(model.U.dtype)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(model.W[s].T)
        layer.weight_hh_l0.copy_(model.U[s].T)
        layer.bias_ih_l0.copy_(model.hid_bias[s])
        layer.bias_hh_l0.zero_()
    return layer


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activity_and_gradients_agree_with_torch(kind, dtype):
    """nn.RNN and nn.LSTM order their gates i, f, g, o as we do; tolerance 1e-6."""
    model = some_model(kind, dtype)
    inputs = some_inputs()
    weights = torch.randn(S, B, T, K, dtype=dtype, generator=torch.Generator().manual_seed(1))
    activity = model(inputs)
    (activity.logits * weights).sum().backward()
    tolerance = {"atol": 1e-6, "rtol": 1e-6 if dtype == torch.float64 else 1e-5}
    for s in range(S):
        layer = torch_layer(model, s)
        one_hot = nn.functional.one_hot(inputs[s], K).to(dtype)
        start = torch.zeros(1, B, H, dtype=dtype)
        if kind == "srn":
            start = model.H0[s].detach().tanh().expand(1, B, H).contiguous()
            hidden, _ = layer(one_hot, start)
        else:
            hidden, (_, cell) = layer(one_hot, (start, start))
            torch.testing.assert_close(activity.cell[s, :, -1], cell[0].detach(), **tolerance)
        torch.testing.assert_close(activity.hidden[s], hidden.detach(), **tolerance)
        V = model.V[s].detach().clone().requires_grad_()
        logits = hidden @ V + model.out_bias[s].detach()
        torch.testing.assert_close(activity.logits[s], logits, **tolerance)
        (logits * weights[s]).sum().backward()
        scale = float(layer.weight_hh_l0.grad.abs().max())
        near = {"atol": scale * (1e-9 if dtype == torch.float64 else 2e-5), "rtol": 1e-5}
        torch.testing.assert_close(model.W.grad[s], layer.weight_ih_l0.grad.T, **near)
        torch.testing.assert_close(model.U.grad[s], layer.weight_hh_l0.grad.T, **near)
        torch.testing.assert_close(model.hid_bias.grad[s], layer.bias_ih_l0.grad, **near)
        torch.testing.assert_close(model.V.grad[s], V.grad, **near)
        torch.testing.assert_close(model.out_bias.grad[s], weights[s].sum((0, 1)), **near)


def test_gradients_against_finite_differences():
    """Start states included, which torch.nn layers do not learn."""
    generator = torch.Generator().manual_seed(2)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    symbols = some_inputs((6, 2, 3), seed=1)
    h, c = draw(2, 2, 3), draw(2, 2, 3)
    read_out = draw(2, 2, K), draw(2, K)
    assert torch.autograd.gradcheck(
        lambda *parts: SRNScan.apply(*parts[:3], symbols, *parts[3:])[0],
        (draw(2, K + 2, 2), *read_out, h),
    )
    assert torch.autograd.gradcheck(
        lambda *parts: LSTMScan.apply(*parts[:3], symbols, *parts[3:])[0],
        (draw(2, K + 2, 8), *read_out, h, c),
    )
    srn = some_model("srn")
    loss = srn(some_inputs()).logits.square().sum()
    loss.backward()
    step = 1e-6
    with torch.no_grad():
        srn.H0[1, 2] += step
        above = float(srn(some_inputs()).logits.square().sum())
        srn.H0[1, 2] -= 2 * step
        below = float(srn(some_inputs()).logits.square().sum())
    assert float(srn.H0.grad[1, 2]) == pytest.approx((above - below) / (2 * step), rel=1e-5)


def test_long_sequences_have_the_same_gradient():
    """More steps than the backward pass prepares at a time."""
    model = LSTM(K, H, seeds=range(40), init=0.3).double()
    inputs = some_inputs((40, 8, 150), seed=4)
    model(inputs).logits.square().mean().backward()
    layer = torch_layer(model, 7)
    one_hot = nn.functional.one_hot(inputs[7], K).double()
    logits = layer(one_hot)[0] @ model.V[7].detach() + model.out_bias[7].detach()
    (logits.square().sum() / (40 * 8 * 150 * K)).backward()
    torch.testing.assert_close(model.U.grad[7], layer.weight_hh_l0.grad.T, atol=1e-12, rtol=1e-7)


@pytest.mark.parametrize("kind", MODELS)
def test_network_s_of_several_is_network_s_alone(kind):
    together = MODELS[kind](K, H, seeds=[3, 4, 5])
    inputs = some_inputs()
    together(inputs).logits.square().sum().backward()
    for s, seed in enumerate([3, 4, 5]):
        alone = MODELS[kind](K, H, seeds=[seed])
        logits = alone(inputs[s : s + 1]).logits
        torch.testing.assert_close(logits[0], together(inputs).logits[s], atol=1e-6, rtol=1e-5)
        logits.square().sum().backward()
        for name in alone.names:
            ours, theirs = getattr(alone, name).grad[0], getattr(together, name).grad[s]
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
        chosen = together.select(s)
        assert torch.equal(chosen.U[0], together.U[s]) and chosen.n_networks == 1
    assert torch.equal(together.select([2, 0]).V[0], together.V[2])
    assert not torch.equal(together.U[0], together.U[1])


@pytest.mark.parametrize("kind", MODELS)
def test_steps_and_sequences_agree(kind):
    """Reading on from a state is reading the whole; gates explain the LSTM's cell."""
    model = some_model(kind)
    inputs = some_inputs((B, T))
    whole = model(inputs)
    state = model.start(B)
    for t in range(T):
        state = model.step(inputs[:, t], state)
        torch.testing.assert_close(state.hidden, whole.hidden[:, :, t])
        torch.testing.assert_close(model.read_out(state.hidden), whole.logits[:, :, t])
    parts = (whole.hidden, whole.cell)
    middle = State(*(None if part is None else part[:, :, 7] for part in parts))
    torch.testing.assert_close(model(inputs[:, 8:], middle).logits, whole.logits[:, :, 8:])
    torch.testing.assert_close(whole.probability.sum(-1), torch.ones(S, B, T).double())
    if kind == "lstm":
        before = torch.cat([torch.zeros_like(whole.cell[:, :, :1]), whole.cell[:, :, :-1]], 2)
        cell = whole.forget_gate * before + whole.input_gate * whole.candidate
        torch.testing.assert_close(whole.cell, cell)
        torch.testing.assert_close(whole.hidden, whole.output_gate * whole.cell.tanh())
        for gate in (whole.input_gate, whole.forget_gate, whole.output_gate):
            assert 0 < float(gate.detach().min()) and float(gate.detach().max()) < 1
    else:
        assert whole.cell is None and whole.output_gate is None


def test_padding_does_not_change_what_came_before():
    language = CountingLanguage.named("anbncn")
    model = LSTM(3, 3, seeds=[0, 1])
    stream = language.streams(torch.tensor([[1, 1, 1, 1, 1], [8, 8, 8, 8, 8]]))
    both, short = model(stream.inputs), model(stream.inputs[:1, :15])
    torch.testing.assert_close(both.logits[:, :1, :15], short.logits)


def test_sizes_and_parameters_that_make_no_network():
    for sizes in ((1, 2), (2, 0)):
        with pytest.raises(ModelError):
            SRN(*sizes)
    with pytest.raises(ModelError):
        LSTM(2, 2, seeds=[])
    good = {name: value[None] for name, value in SRN(2, 3).network_state(0).items()}
    assert SRN.from_parameters(good).n_hidden == 3
    for change in (
        {"V": torch.zeros(1, 2, 3)},
        {"U": torch.zeros(3, 3)},
        {"out_bias": torch.full((1, 2), float("nan"))},
    ):
        with pytest.raises(ModelError):
            SRN.from_parameters({**good, **change})
    with pytest.raises(ModelError, match="missing"):
        SRN.from_parameters({k: v for k, v in good.items() if k != "H0"})
    with pytest.raises(ModelError):
        LSTM.from_parameters(good)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("n_batch", [1, 8, 21])
def test_compiled_loops_agree_with_double_precision(recurrence, kind, n_batch):
    """Full registers and what is left over, gradients of every parameter, large pre-activations."""
    inputs = some_inputs((S, n_batch, 40), seed=7)
    exact, single = some_model(kind), some_model(kind, torch.float32)
    for model in (exact, single):
        with torch.no_grad():
            model.W[0] *= 30
        (model(inputs).logits.sin().sum()).backward()
    torch.testing.assert_close(
        single(inputs).logits.double(), exact(inputs).logits, atol=2e-5, rtol=1e-5
    )
    for name in exact.names:
        ours, theirs = getattr(single, name).grad, getattr(exact, name).grad
        scale = float(theirs.abs().max())
        torch.testing.assert_close(ours.double(), theirs, atol=2e-5 * scale, rtol=1e-3)


def test_not_a_number_is_not_hidden(recurrence):
    model = some_model("lstm", torch.float32)
    with torch.no_grad():
        model.U[1] = torch.nan
    finite = model(some_inputs()).logits.isfinite().flatten(1).all(1)
    assert finite.tolist() == [True, False, True]


def test_without_a_compiler_there_is_no_library(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    assert compiled.load.__wrapped__() is None
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_fails_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled.shutil, "which", lambda name: "false")
    assert compiled.load.__wrapped__() is None
    assert not list(tmp_path.rglob("*.so"))
