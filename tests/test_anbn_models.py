"""The plain SRN and LSTM: against torch.nn, and each network of several against itself."""

import pytest
import torch
from torch import nn

from anbn.models import LSTM, MODELS, SRN, ModelError, State

S, B, T, K, H = 3, 5, 17, 4, 3


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
    """nn.RNN and nn.LSTM order their gates i, f, g, o as we do."""
    model = some_model(kind, dtype)
    inputs = some_inputs()
    weights = torch.randn(S, B, T, K, dtype=dtype, generator=torch.Generator().manual_seed(1))
    activity = model(inputs)
    (activity.logits * weights).sum().backward()
    tolerance = dict.fromkeys(("atol", "rtol"), 1e-10 if dtype == torch.float64 else 1e-5)
    for s in range(S):
        layer = torch_layer(model, s)
        one_hot = nn.functional.one_hot(inputs[s], K).to(dtype)
        start = torch.zeros(1, B, H, dtype=dtype)
        if kind == "srn":
            start = model.H0[s].detach().tanh().expand(1, B, H).contiguous()
            hidden, _ = layer(one_hot, start)
        else:
            hidden, (_, cell) = layer(one_hot, (start, start))
            torch.testing.assert_close(activity.cell[s, :, -1], cell[0], **tolerance)
        torch.testing.assert_close(activity.hidden[s], hidden, **tolerance)
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


@pytest.mark.rounding
@pytest.mark.parametrize("kind", MODELS)
def test_network_s_of_several_is_network_s_alone(kind):
    together = MODELS[kind](K, H, seeds=[3, 4, 5]).double()
    inputs = some_inputs()
    for s, seed in enumerate([3, 4, 5]):
        alone = MODELS[kind](K, H, seeds=[seed]).double()
        logits = alone(inputs[s : s + 1]).logits[0]
        torch.testing.assert_close(logits, together(inputs).logits[s], atol=1e-12, rtol=1e-10)
        chosen = together.select(s)
        assert torch.equal(chosen.U[0], together.U[s]) and chosen.n_networks == 1
    assert torch.equal(together.select([2, 0]).V[0], together.V[2])
    assert not torch.equal(together.U[0], together.U[1])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("gain", [None, 1.7])
def test_steps_and_sequences_agree(kind, gain):
    """Reading on from a state is reading the whole; gates explain the LSTM's cell."""
    model = some_model(kind)
    inputs = some_inputs((B, T))
    whole = model(inputs, gain=gain)
    state = model.start(B)
    for t in range(T):
        state = model.step(inputs[:, t], state, gain)
        torch.testing.assert_close(state.hidden, whole.hidden[:, :, t])
        torch.testing.assert_close(model.read_out(state.hidden), whole.logits[:, :, t])
    parts = (whole.hidden, whole.cell)
    middle = State(*(None if part is None else part[:, :, 7] for part in parts))
    torch.testing.assert_close(model(inputs[:, 8:], middle, gain).logits, whole.logits[:, :, 8:])
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


@pytest.mark.parametrize("kind", MODELS)
def test_a_gain_is_a_factor_of_the_weights(kind):
    model, inputs = some_model(kind), some_inputs()
    gain = torch.linspace(0.5, 3, H * model.gate_rows)
    steep, plain = model(inputs, gain=gain).logits, model(inputs).logits
    model.scale_weights(gain)
    torch.testing.assert_close(model(inputs).logits, steep)
    assert not torch.allclose(steep, plain, atol=1e-2)


@pytest.mark.parametrize("kind", MODELS)
def test_flattened_parameters_are_the_parameters(kind):
    model, inputs = some_model(kind), some_inputs()
    before = model(inputs).logits
    flat = model.flatten_parameters()
    assert torch.equal(model(inputs).logits, before) and torch.equal(flat, model.flat())
    flat[1] = 0  # a view: the network's logits are its biases, 0
    assert not model(inputs).logits[1].any() and torch.equal(model(inputs).logits[2], before[2])


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
        {"U": "a matrix"},
        {"V": torch.zeros(1, 3, 2).half()},
        {"out_bias": torch.full((1, 2), float("nan"))},
        {name: value.to(torch.complex64) for name, value in good.items()},
    ):
        with pytest.raises(ModelError):
            SRN.from_parameters({**good, **change})
    with pytest.raises(ModelError, match="missing"):
        SRN.from_parameters({k: v for k, v in good.items() if k != "H0"})
    with pytest.raises(ModelError):
        LSTM.from_parameters(good)
