"""The loss of a batch: against a loop over symbols, finite differences, and a network alone."""

import pytest
import torch

from anbn import compiled
from anbn.counting import CountingLanguage
from anbn.languages import Language, LanguageError
from anbn.loss import (
    Batch,
    Strings,
    closure_gradients,
    loss_and_gradients,
    smoothing_gradients,
)
from anbn.models import MODELS

S, B, T, K, H = 3, 5, 9, 3, 2
MEAN = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.0, 0.0, 1.0]])  # after each symbol


def some_batch(seed=0, n_batch=B, n_steps=T):
    """Sequences of different lengths; steps that read 0 are not certain."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(0, K, (S, n_batch, n_steps + 1), generator=generator)
    length = torch.randint(1, n_steps + 1, (S, n_batch, 1), generator=generator)
    valid = torch.arange(n_steps) < length
    return Batch(symbols, valid, valid & (symbols[..., :-1] > 0))


def some_model(kind, dtype=torch.float64):
    return MODELS[kind](K, H, seeds=[3, 4, 5], init=0.8).to(dtype)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("mean", [None, MEAN])
@torch.no_grad()
def test_loss_is_the_mean_over_steps(kind, mean):
    model, batch = some_model(kind), some_batch()
    loss, cross_entropy, _ = loss_and_gradients(model, batch, 0.3, mean)
    for s in range(S):
        total = weights = surprise = steps = 0.0
        for b in range(B):
            state = model.select(s).start(1)
            for t in range(int(batch.valid[s, b].sum())):
                state = model.select(s).step(batch.symbols[s, b, t : t + 1], state)
                log_q = model.select(s).read_out(state.hidden)[0, 0].log_softmax(-1)
                certain = bool(batch.deterministic[s, b, t])
                weight = 1.0 if certain else 0.3
                target = log_q[batch.symbols[s, b, t + 1]]
                learned = target
                if not certain and mean is not None:
                    learned = mean[batch.symbols[s, b, t].long()].double() @ log_q
                total, weights = total - weight * float(learned), weights + weight
                surprise, steps = surprise - float(target), steps + 1
        assert float(loss[s]) == pytest.approx(total / weights)
        assert float(cross_entropy[s]) == pytest.approx(surprise / steps)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("gain", [None, 1.5])
def test_gradients_against_finite_differences(kind, gain):
    """Of every parameter, start states included, which torch.nn layers do not learn."""
    model, batch = some_model(kind), some_batch()
    flat = model.flatten_parameters()
    gradients = loss_and_gradients(model, batch, 0.3, MEAN, gain)[2]
    for k in range(flat.shape[1]):
        sides = []
        for step in (1e-6, -2e-6):
            flat[:, k] += step
            sides.append(loss_and_gradients(model, batch, 0.3, MEAN, gain)[0])
        flat[:, k] += 1e-6
        near = {"atol": 1e-8, "rtol": 1e-6}
        torch.testing.assert_close(gradients[:, k], (sides[0] - sides[1]) / 2e-6, **near)


@pytest.mark.rounding
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_network_s_of_several_is_network_s_alone(kind, dtype):
    together, batch = some_model(kind, dtype), some_batch(1)
    near = {"atol": 1e-6, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0, "rtol": 1e-10}
    for s in range(S):
        alone = loss_and_gradients(together.select(s), Batch(*(part[s : s + 1] for part in batch)))
        for one, all_of_them in zip(alone, loss_and_gradients(together, batch), strict=True):
            torch.testing.assert_close(one[0], all_of_them[s], **near)


@pytest.mark.parametrize("compiler", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_a_network_that_is_not_a_number_is_not_hidden(monkeypatch, kind, compiler):
    if not compiler:
        monkeypatch.setattr(compiled, "load", lambda: None)
    model = some_model(kind, torch.float32)
    with torch.no_grad():
        model.U[1] = torch.nan
    for value in loss_and_gradients(model, some_batch(2)):
        finite = value.isfinite().view(S, -1).all(1)
        assert finite.tolist() == [True, False, True]


@pytest.mark.parametrize("compiler", [True, False])
@torch.no_grad()
def test_smoothing_is_a_uniform_target_about_the_turns(monkeypatch, compiler):
    """A B B B C: at the last two B, and at C, which A follows. A A B C: at B and at C."""
    if not compiler:
        monkeypatch.setattr(compiled, "load", lambda: None)
    model = some_model("lstm", torch.float32).select([0])
    symbols = torch.tensor([[[0, 1, 1, 1, 2, 0], [0, 0, 1, 2, 0, 0]]])  # (S, B, T + 1)
    valid = torch.tensor([[[True] * 5, [True] * 4 + [False]]])
    batch = Batch(symbols, valid, valid & (symbols[..., :-1] > 0))
    turns = torch.tensor([[[0, 0, 1, 1, 1], [0, 0, 1, 1, 0]]])
    flat = [getattr(model, name).requires_grad_() for name in model.names]
    with torch.enable_grad():
        surprise = -model(symbols[..., :-1]).logits.log_softmax(-1).mean(-1)  # (S, B, T)
        loss = (surprise * turns).sum() / (6 + 0.3 * 3)  # six certain steps, three that are not
        gradients = torch.autograd.grad(loss, flat)
    expected = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
    measured = smoothing_gradients(model, batch, stochastic_weight=0.3)
    torch.testing.assert_close(measured, expected, atol=1e-5, rtol=1e-4)


def test_strings_of_different_blocks_have_no_ends_in_common():
    class Odd(Language):
        name, symbols = "odd", "AB"

        def word(self, n):
            return "AB" * n

    numbers = torch.tensor([1, 2])
    assert Strings.of(Odd(2), numbers).ends.tolist() == [[2], [4]]
    with pytest.raises(LanguageError, match="blocks"):
        Strings.of(Odd(2), numbers, blocks=True)


@pytest.mark.parametrize("gain", [None, 1.5])
@pytest.mark.parametrize("kind, blocks", [("srn", False), ("lstm", False), ("lstm", True)])
@torch.no_grad()
def test_closure_is_the_variance_of_the_states_that_strings_end_in(kind, blocks, gain):
    """The states read letter by letter; against finite differences, and compiled. `blocks`: also
    what is forgotten at the end of a block, so far as it is."""
    model, n_values = some_model(kind), (1, 2, 4)
    flat = model.flatten_parameters()
    part = "cell" if kind == "lstm" else "hidden"

    def read():
        """The state (S, H) after each block of each string, and 1 - f of the letter after it."""
        after, forgotten = [], []
        for n in n_values:
            state = model.start(1)
            for k, letter in enumerate("0" * n + "1" * n + "2" * n):
                state = model.step(torch.tensor([int(letter)]), state, gain)
                if (k + 1) % n == 0:
                    after.append(getattr(state, part)[:, 0])
                if blocks and k in (n, 2 * n):
                    forgotten.append(1 - state.forget_gate[:, 0])
        after = torch.stack(after, 1).unflatten(1, (3, 3))  # (S, N, K, H)
        return after, torch.stack(forgotten, 1).unflatten(1, (3, 2)).mean(1) if forgotten else None

    forgotten = read()[1]  # (S, 2, H)

    def variance():
        after = read()[0]
        ends = torch.cat([getattr(model.start(1), part), after[:, :, 2]], 1)
        total = ends.var(1, correction=0).mean(1)
        if blocks:
            turns = after[:, :, :2].var(1, correction=0) * 3 / 4
            total = total + (turns * forgotten).sum(1).mean(1)
        return total

    for n in range(1, 20), n_values:  # more strings than are read together, and those above
        strings = Strings.of(CountingLanguage((1, 1, 1), 3), torch.tensor(n), blocks)
        gradients = closure_gradients(model, strings, gain, blocks)
        single = closure_gradients(model.select([0, 1, 2]).float(), strings, gain, blocks)
        scale = max(1.0, float(gradients.abs().max()))
        torch.testing.assert_close(single.double(), gradients, atol=1e-5 * scale, rtol=1e-4)
    for k in range(flat.shape[1]):
        sides = []
        for step in (1e-6, -1e-6):
            flat[:, k] += step
            sides.append(variance())
            flat[:, k] -= step
        torch.testing.assert_close(
            gradients[:, k], (sides[0] - sides[1]) / 2e-6, atol=1e-8, rtol=1e-5
        )
