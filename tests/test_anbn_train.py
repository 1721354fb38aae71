"""Training: one update against a plain loop, groups, resuming, reports, and that it learns."""

import math
import weakref

import pytest
import torch

from anbn import compiled
from anbn import train as training
from anbn.counting import CountingLanguage
from anbn.reach import first_failing_n
from anbn.reber import ReberLanguage
from anbn.recipes import Recipe, RecipeError, default_recipe, far_recipe, with_options
from anbn.train import TrainingDiverged, build, clipped, train

ANB2N = CountingLanguage.named("anb2n")
SHORT = Recipe(n_sequences=160, batch_size=4, identity=0.9, stochastic_weight=0.5)
STEEP = with_options(
    far_recipe(ANB2N, "lstm", 2),
    n_sequences=320,
    batch_size=4,
    learning_rate=0.05,
    gate_gain=8.0,
    input_gain=3.0,
)


def parameters(model, s=slice(None)):
    return {name: getattr(model, name).detach()[s].clone() for name in model.names}


def run(recipe, seeds, kind="srn", language=ANB2N, **options):
    model = build(language, kind, 2, seeds, recipe)
    return model, list(train(model, language, recipe, seeds, **options))


def plain_srn_loss(values, stream, stochastic_weight, mean=None):
    """The weighted mean cross-entropy of one SRN on streams (B, T), a symbol at a time; with the
    distribution `mean` (K,) where the symbol that follows is not certain."""
    total, weights = 0.0, 0.0
    for symbols, valid, certain in zip(
        stream.symbols, stream.valid, stream.deterministic, strict=True
    ):
        hidden = values["H0"].tanh()
        for t in range(int(valid.sum())):
            hidden = torch.tanh(values["W"][symbols[t]] + hidden @ values["U"] + values["hid_bias"])
            log_q = (hidden @ values["V"] + values["out_bias"]).log_softmax(-1)
            weight = 1.0 if certain[t] else stochastic_weight
            learned = log_q[symbols[t + 1]] if mean is None or certain[t] else mean @ log_q
            total = total - weight * learned
            weights += weight
    return total / weights


def streams_of_first_update(language, recipe, seed):
    """What network `seed` reads first, seen through a language that remembers."""
    seen = []

    class Remembers(CountingLanguage):
        def training_symbols(self, n):
            seen.append(n)
            return super().training_symbols(n)

    watched = Remembers(language.multiples, language.length)
    once = with_options(recipe, n_sequences=recipe.batch_size)
    model = build(language, "srn", 2, [seed], once)
    list(train(model, watched, once, [seed], evaluate=False))
    return language.streams(seen[0][0, 0])  # the first update of the only network


@pytest.mark.parametrize("target", ["next", "mean"])
def test_one_update_is_gradient_descent_on_the_weighted_loss(target):
    recipe = Recipe(
        n_sequences=4,
        batch_size=4,
        optimizer="sgd",
        momentum=0.0,
        learning_rate=0.1,
        warm_up=0.0,
        clip=0.05,
        stochastic_weight=0.3,
        stochastic_target=target,
    )
    mean = torch.tensor([0.6, 0.4]) if target == "mean" else None  # n = 1..4: one A in 2.5 is last
    streams = []
    for seed in (3, 4):
        stream = streams_of_first_update(ANB2N, recipe, seed)
        before = build(ANB2N, "srn", 2, [seed], recipe)
        values = {k: v.requires_grad_() for k, v in parameters(before, 0).items()}
        loss = plain_srn_loss(values, stream, recipe.stochastic_weight, mean)
        gradients = dict(zip(values, torch.autograd.grad(loss, values.values()), strict=True))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
        assert norm > recipe.clip  # or clipping is not tested
        after, _ = run(recipe, [seed])
        for name, gradient in gradients.items():
            expected = values[name] - 0.1 * gradient * recipe.clip / norm
            torch.testing.assert_close(getattr(after, name)[0], expected, atol=1e-6, rtol=0)
        streams.append(stream.symbols[0, :12].tolist())
    assert streams[0] != streams[1]  # every network reads streams of its own


def test_clipping_is_per_network_and_drops_what_is_not_finite():
    gradient = torch.tensor([[0.3, 0.4], [30.0, 40.0], [torch.nan, 1.0], [torch.inf, 1.0]])
    expected = torch.tensor([[0.3, 0.4], [0.6, 0.8], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(clipped(gradient, 1.0), expected)


@pytest.mark.rounding
@pytest.mark.parametrize("kind", ["srn", "lstm"])
@pytest.mark.parametrize("compiler", [True, False])
def test_a_network_of_an_ensemble_is_the_network_alone(monkeypatch, kind, compiler):
    if not compiler:
        monkeypatch.setattr(compiled, "load", lambda: None)
    few = with_options(SHORT, n_sequences=40)
    together, records = run(few, [5, 6, 7], kind)
    for s, seed in enumerate([5, 6, 7]):
        alone, record = run(few, [seed], kind)
        for name, value in parameters(alone, 0).items():
            torch.testing.assert_close(getattr(together, name)[s], value, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(records[-1].cross_entropy[s], record[-1].cross_entropy[0])
    assert not torch.equal(together.U[0], together.U[1])


@pytest.mark.parametrize("kind", ["srn", "lstm"])
def test_groups_are_the_same_wherever_they_are_trained(monkeypatch, kind):
    """Bit for bit: as two processes that share the networks in whole groups train them."""
    monkeypatch.setattr(training, "GROUP_SIZE", 2)
    together, records = run(SHORT, range(5), kind, report_every=60)
    assert records[-1].optimizer_state["covariance"].shape[0] == 5
    for seeds in (slice(0, 2), slice(2, 5)):
        part, reports = run(SHORT, range(5)[seeds], kind, report_every=60)
        for name, value in parameters(together, seeds).items():
            assert torch.equal(getattr(part, name), value)
        for name in ("loss", "cross_entropy", "streams_right"):
            for report, record in zip(reports, records, strict=True):
                assert torch.equal(getattr(report, name), getattr(record, name)[seeds])
        for name, value in records[-1].optimizer_state.items():
            part_value = reports[-1].optimizer_state[name]
            assert torch.equal(part_value, value[seeds] if value.dim() else value)


@pytest.mark.parametrize("kind", ["srn", "lstm"])
@pytest.mark.parametrize("recipe", [SHORT, STEEP])
def test_resuming_equals_not_stopping(monkeypatch, kind, recipe):
    monkeypatch.setattr(training, "GROUP_SIZE", 2)
    whole, records = run(recipe, [1, 2, 3], kind, report_every=60)
    assert [record.sequences for record in records][:3] == [
        60,
        120,
        160 if recipe is SHORT else 180,
    ]
    model = build(ANB2N, kind, 2, [1, 2, 3], recipe)
    first = next(train(model, ANB2N, recipe, [1, 2, 3], report_every=60))
    again = build(ANB2N, kind, 2, [7, 8, 9], recipe)  # other weights: all must come from the state
    again.load_state_dict(model.state_dict())
    options = {"report_every": 60, "optimizer_state": first.optimizer_state}
    rest = list(train(again, ANB2N, recipe, [1, 2, 3], **options))
    assert [r.sequences for r in rest] == [r.sequences for r in records[1:]]
    for name, value in parameters(whole).items():
        assert torch.equal(getattr(again, name), value)
    assert torch.equal(rest[-1].loss, records[-1].loss)


def test_a_report_is_of_the_networks_as_they_are_then():
    """What a report gives, and a copy of the model, do not change while training goes on."""
    model = build(ANB2N, "srn", 2, [1], SHORT)
    records = train(model, ANB2N, SHORT, [1], report_every=60)
    state = next(records).optimizer_state
    before = {name: value.clone() for name, value in state.items()}
    weights = parameters(model)
    next(records)
    assert not torch.equal(model.U, weights["U"])
    assert all(torch.equal(state[name], value) for name, value in before.items())


def test_what_is_no_state_of_the_optimizer_is_refused():
    _, (record, *_) = run(SHORT, [1])
    adam = with_options(SHORT, optimizer="adam")
    for state in (record.optimizer_state, {"step": 3}, {}, [1]):
        model = build(ANB2N, "srn", 2, [1], adam)
        with pytest.raises(RecipeError, match="train anew"):
            list(train(model, ANB2N, adam, [1], optimizer_state=state))


def test_reports_of_a_network_that_knows_nothing():
    recipe = Recipe(n_sequences=8, learning_rate=1e-30)
    model = build(ANB2N, "lstm", 2, [0, 1], recipe)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    (record,) = train(model, ANB2N, recipe, [0, 1])
    torch.testing.assert_close(record.cross_entropy, torch.full((2,), math.log(2)))
    # half and half: 0.3^2 off the target (0.8, 0.2) after an A, 0.5^2 off a certain symbol after
    # a B; a third of the steps read an A
    torch.testing.assert_close(record.loss, torch.full((2,), (0.09 + 2 * 0.25) / 3))


def test_initial_weights():
    model = build(ANB2N, "srn", 2, [3, 4], with_options(SHORT, identity=5.0, noise=0.01))
    torch.testing.assert_close(model.U.detach(), 5 * torch.eye(2).expand(2, 2, 2), atol=0.1, rtol=0)
    assert not torch.equal(model.U[0], model.U[1])
    plain = build(ANB2N, "lstm", 2, [3], Recipe(n_sequences=1))
    open_gates = build(ANB2N, "lstm", 2, [3], Recipe(n_sequences=1, forget_bias=2.0))
    expected = torch.zeros(1, 8)
    expected[:, 2:4] = 2.0  # gates in the order i, f, g, o
    torch.testing.assert_close((open_gates.hid_bias - plain.hid_bias).detach(), expected)


def test_a_diverged_network_is_named():
    model = build(ANB2N, "srn", 2, [20, 21, 22], SHORT)
    with torch.no_grad():
        model.V[1, :, 0] = 1e38
    with pytest.raises(TrainingDiverged, match="1 of 3 networks.*first seed 21"):
        list(train(model, ANB2N, SHORT, [20, 21, 22]))


@pytest.mark.parametrize("optimizer", ["rotated", "adam", "sgd"])
@pytest.mark.parametrize("kind", ["srn", "lstm"])
def test_no_learning_rate_makes_another_error(optimizer, kind):
    for lr in (1e6, 1e30):
        with pytest.raises(TrainingDiverged, match="lower the learning rate"):
            run(with_options(SHORT, learning_rate=lr, optimizer=optimizer), [0, 1], kind)


def test_pre_activations_grow_steeper_and_stay_so():
    model, _ = run(STEEP, [0], "lstm")
    inputs = torch.tensor([[0, 0, 1, 1, 1, 1]])
    last = STEEP.gain(STEEP.n_updates, model)
    steep = model(inputs)
    model.scale_weights(1 / last)
    torch.testing.assert_close(model(inputs, gain=last).logits, steep.logits)
    assert not torch.allclose(model(inputs).logits, steep.logits, atol=1e-3)


@torch.no_grad()
def test_pulls_and_pushes_move_the_weights_by_a_part_of_the_learning_rate():
    quiet = {"n_sequences": 4, "batch_size": 4, "optimizer": "sgd", "learning_rate": 1.0}
    quiet |= {"warm_up": 0.0, "clip": 1e-20, "gain_start": 0.0}  # no step but the recipe's own

    def moved(**pulls):
        recipe = Recipe(**quiet, **pulls)
        before = build(ANB2N, "lstm", 2, [3], recipe)
        after, _ = run(recipe, [3], "lstm")
        pairs = {name: (getattr(before, name), getattr(after, name)) for name in before.names}
        changed = {name: new - old for name, (old, new) in pairs.items() if not new.equal(old)}
        return pairs, changed

    pairs, changed = moved(recurrent_pull=0.3)
    assert set(changed) == {"U"}
    torch.testing.assert_close(pairs["U"][1].abs(), (pairs["U"][0].abs() - 0.3).clamp(min=0))
    assert (pairs["U"][1] == 0).any()
    pairs, changed = moved(read_out_pull=0.1)
    assert set(changed) == {"V", "W"}
    torch.testing.assert_close(pairs["V"][1].abs(), (pairs["V"][0].abs() - 0.1).clamp(min=0))
    expected = torch.tensor([0.0] * 6 + [-0.1] * 2).expand(1, 2, 8)  # gates i, f, g, o
    torch.testing.assert_close(changed["W"], expected)
    pairs, changed = moved(saturation=0.1)
    rows = [pairs["W"][k] + pairs["hid_bias"][k][:, None] for k in (0, 1)]
    torch.testing.assert_close(rows[1].abs(), rows[0].abs() + 0.1)


@pytest.mark.rounding
@pytest.mark.usefixtures("c_compiler")  # without, it takes minutes
@pytest.mark.parametrize("multiples, least", [((1, 2), 30), ((1, 1), 100)])
def test_far_networks_count_on(multiples, least):
    """Half of them at least: cells that a letter moves by a fraction as well."""
    language, seeds = CountingLanguage(multiples, 3), range(42000, 42006)
    recipe = with_options(far_recipe(language, "lstm", 3), n_sequences=32_000)
    model = build(language, "lstm", 3, seeds, recipe)
    list(train(model, language, recipe, seeds, report_every=32_000, evaluate=False))
    assert (first_failing_n(model, language, 1000) > least).sum() >= 3


@pytest.mark.rounding
@pytest.mark.usefixtures("c_compiler")
def test_far_srns_count_beyond_their_training():
    """Half of them at least half as far again, after a third of the training."""
    language, seeds = CountingLanguage((1, 1), 6), range(43000, 43006)
    recipe = with_options(far_recipe(language, "srn", 2), n_sequences=32_000)
    model = build(language, "srn", 2, seeds, recipe)
    assert (model.U.mean((1, 2)) + recipe.inhibition / 2).abs().max() < 4 * recipe.noise
    list(train(model, language, recipe, seeds, report_every=32_000, evaluate=False))
    assert (first_failing_n(model, language, 1000) > 9).sum() >= 3


def test_a_random_walk_has_no_mean_to_learn_and_no_closure():
    with pytest.raises(RecipeError, match="reber"):
        run(with_options(SHORT, stochastic_target="mean"), [0], language=ReberLanguage())
    with pytest.raises(RecipeError, match="reber are not numbered"):
        run(with_options(SHORT, closure=1.0), [0], language=ReberLanguage())


def test_an_srn_has_no_gates_that_forget():
    with pytest.raises(RecipeError, match="block_closure"):
        run(with_options(SHORT, block_closure=1.0), [0])


def test_training_is_the_same_whether_or_not_it_is_evaluated():
    watched, (record, *_) = run(SHORT, [5])
    plain, (bare, *_) = run(SHORT, [5], evaluate=False)
    assert record.streams_right is not None and bare.loss is None and bare.streams_right is None
    assert all(torch.equal(getattr(watched, name), getattr(plain, name)) for name in watched.names)


def test_long_strings_are_made_a_few_at_a_time(monkeypatch):
    """The same streams, however few are made together."""
    whole, _ = run(SHORT, [1, 2])
    monkeypatch.setattr(training, "MAX_SYMBOLS", 100)
    few, _ = run(SHORT, [1, 2])
    assert all(torch.equal(value, parameters(few)[k]) for k, value in parameters(whole).items())


@torch.no_grad()
def test_no_streams_are_kept_from_report_to_report():
    """Many groups wait for their turn at once: the memory of their streams would add up."""
    made = []

    class Watched(CountingLanguage):
        def training_symbols(self, n):
            parts = [part.numpy().copy() for part in super().training_symbols(n)]
            made.extend(map(weakref.ref, parts))  # a tensor's memory holds the array, a view's too
            return tuple(map(torch.from_numpy, parts))

    language, options = Watched((1, 2), 4), {"report_every": 60, "evaluate": False}
    model = build(language, "srn", 2, [0], SHORT)
    for record in train(model, language, SHORT, [0], **options):
        assert made and not any(array() is not None for array in made), record.sequences


def test_two_networks_learn():
    recipe = with_options(default_recipe(ANB2N, "lstm", 3), n_sequences=6000)
    model = build(ANB2N, "lstm", 3, [0, 1], recipe)
    *_, record = train(model, ANB2N, recipe, [0, 1])
    assert (record.streams_right > 0.9).any() and (record.loss < 0.05).all()
