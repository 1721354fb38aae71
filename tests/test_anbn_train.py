"""Training: one update against a plain loop, ensembles, resuming, reports, and that it learns."""

import math

import pytest
import torch

from anbn.counting import CountingLanguage
from anbn.reber import ReberLanguage
from anbn.recipes import Recipe, RecipeError, default_recipe, far_recipe, with_options
from anbn.train import TrainingDiverged, _draws, build, clipped_per_network, train

ANB2N = CountingLanguage.named("anb2n")
SHORT = Recipe(n_sequences=160, batch_size=4, identity=0.9, undetermined_weight=0.5)


def parameters(model, s=slice(None)):
    return {name: getattr(model, name).detach()[s].clone() for name in model.names}


def run(recipe, seeds, kind="srn", language=ANB2N, **options):
    model = build(language, kind, 2, seeds, recipe)
    return model, list(train(model, language, recipe, seeds, **options))


def plain_srn_loss(values, stream, undetermined_weight, aim=None):
    """The weighted mean cross-entropy of one SRN on streams (B, T), a symbol at a time; with the
    distribution `aim` (K,) where the symbol that follows is not certain."""
    total, weights = 0.0, 0.0
    for symbols, valid, certain in zip(
        stream.symbols, stream.valid, stream.deterministic, strict=True
    ):
        hidden = values["H0"].tanh()
        for t in range(int(valid.sum())):
            hidden = torch.tanh(values["W"][symbols[t]] + hidden @ values["U"] + values["hid_bias"])
            log_q = (hidden @ values["V"] + values["out_bias"]).log_softmax(-1)
            weight = 1.0 if certain[t] else undetermined_weight
            learned = log_q[symbols[t + 1]] if aim is None or certain[t] else aim @ log_q
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
    list(train(build(language, "srn", 2, [seed], once), watched, once, [seed]))
    return language.streams(seen[0][0, 0])  # the first update of the only network


@pytest.mark.parametrize("aim", ["next", "mean"])
def test_one_update_is_gradient_descent_on_the_weighted_loss(aim):
    recipe = Recipe(
        n_sequences=4,
        batch_size=4,
        optimizer="sgd",
        momentum=0.0,
        learning_rate=0.1,
        warm_up=0.0,
        clip=0.05,
        undetermined_weight=0.3,
        undetermined_aim=aim,
    )
    mean = torch.tensor([0.6, 0.4]) if aim == "mean" else None  # n = 1..4: one A in 2.5 is the last
    for seed in (3, 4):
        stream = streams_of_first_update(ANB2N, recipe, seed)
        before = build(ANB2N, "srn", 2, [seed], recipe)
        values = {k: v.requires_grad_() for k, v in parameters(before, 0).items()}
        loss = plain_srn_loss(values, stream, recipe.undetermined_weight, mean)
        gradients = dict(zip(values, torch.autograd.grad(loss, values.values()), strict=True))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
        assert norm > recipe.clip  # or clipping is not tested
        after, _ = run(recipe, [seed])
        for name, gradient in gradients.items():
            expected = values[name] - 0.1 * gradient * recipe.clip / norm
            torch.testing.assert_close(getattr(after, name)[0], expected, atol=1e-6, rtol=0)


def test_clipping_is_per_network():
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 2, 4), (3, 5))
    size = torch.tensor([0.01, 1.0, 100.0])
    gradients = [
        torch.randn(shape, generator=generator) * size.view(3, *[1] * (len(shape) - 1))
        for shape in shapes
    ]
    expected = []
    for s in range(3):
        alone = [torch.nn.Parameter(gradient[s].clone()) for gradient in gradients]
        for parameter, gradient in zip(alone, gradients, strict=True):
            parameter.grad = gradient[s].clone()
        torch.nn.utils.clip_grad_norm_(alone, 1.0)
        expected.append([parameter.grad for parameter in alone])
    for k, gradient in enumerate(clipped_per_network(gradients, 1.0)):
        wanted = torch.stack([expected[s][k] for s in range(3)])
        torch.testing.assert_close(gradient, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["srn", "lstm"])
def test_a_network_of_an_ensemble_is_the_network_alone(kind):
    together, records = run(SHORT, [5, 6, 7], kind)
    for s, seed in enumerate([5, 6, 7]):
        alone, record = run(SHORT, [seed], kind)
        for name, value in parameters(alone, 0).items():
            torch.testing.assert_close(getattr(together, name)[s], value, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(records[-1].cross_entropy[s], record[-1].cross_entropy[0])
    assert not torch.equal(together.U[0], together.U[1])


@pytest.mark.parametrize("kind", ["srn", "lstm"])
def test_resuming_equals_not_stopping(kind):
    whole, records = run(SHORT, [1, 2], kind, report_every=60)
    assert [record.sequences for record in records] == [60, 120, 160]
    model = build(ANB2N, kind, 2, [1, 2], SHORT)
    first = next(train(model, ANB2N, SHORT, [1, 2], report_every=60))
    again = build(ANB2N, kind, 2, [8, 9], SHORT)  # other weights: all must come from the state
    again.load_state_dict(model.state_dict())
    stored = {"done": first.sequences, "optimizer_state": first.optimizer_state()}
    rest = list(train(again, ANB2N, SHORT, [1, 2], report_every=60, **stored))
    assert [record.sequences for record in rest] == [120, 160]
    for name, value in parameters(whole).items():
        assert torch.equal(getattr(again, name), value)
    assert torch.equal(rest[-1].loss, records[-1].loss)


def test_the_state_of_another_optimizer_is_refused():
    _, (record, *_) = run(SHORT, [1])
    stored = {"done": 80, "optimizer_state": record.optimizer_state()}
    adam = with_options(SHORT, optimizer="adam")
    model = build(ANB2N, "srn", 2, [1], adam)
    with pytest.raises(RecipeError, match="train anew"):
        list(train(model, ANB2N, adam, [1], **stored))


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


def test_the_learning_rate_rises_and_falls_to_nothing():
    recipe = Recipe(n_sequences=1000, batch_size=1, learning_rate=0.5, warm_up=0.1)
    rates = [recipe.rate(update) for update in range(recipe.n_updates)]
    assert rates[50] == pytest.approx(0.25, rel=0.02)
    assert max(rates) == pytest.approx(0.5, rel=0.05) and 90 < rates.index(max(rates)) < 110
    assert rates[-1] <= 0.5 * 1e-3
    # cosine: halfway down after half the training
    assert recipe.rate(500) == pytest.approx(0.25)


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
        model.V[1] = math.nan
    with pytest.raises(TrainingDiverged, match="1 of 3 networks.*first seed 21"):
        list(train(model, ANB2N, SHORT, [20, 21, 22]))


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "magic"},
        {"undetermined_aim": "best"},
        {"batch_size": 0},
        {"n_sequences": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
    ],
)
def test_impossible_recipes(options):
    with pytest.raises(RecipeError):
        Recipe(**{"n_sequences": 10, **options})


def test_with_options_keeps_what_is_not_given():
    changed = with_options(SHORT, learning_rate=0.5, batch_size=None)
    assert changed.learning_rate == 0.5 and changed.batch_size == SHORT.batch_size


def test_default_recipes_exist_for_any_language():
    for language in (CountingLanguage((1, 1, 1, 1), 5), ReberLanguage(), ReberLanguage(True)):
        for kind in ("srn", "lstm"):
            recipe = default_recipe(language, kind, 5)
            short = with_options(recipe, n_sequences=2 * recipe.batch_size)
            model = build(language, kind, 5, [0], short)
            assert list(train(model, language, short, [0]))[-1].loss.isfinite().all()


def test_every_network_reads_streams_of_its_own():
    first, second = (_draws(ANB2N, SHORT, seed, 0) for seed in (0, 1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, _draws(ANB2N, SHORT, 0, 1))


STEEP = with_options(
    far_recipe(ANB2N, "lstm", 2),
    n_sequences=320,
    batch_size=4,
    learning_rate=0.05,
    steepness=8.0,
    input_steepness=3.0,
)


def test_pre_activations_grow_steeper_and_stay_so():
    model = build(ANB2N, "lstm", 2, [0], STEEP)
    slopes = torch.stack([STEEP.slopes(k, model) for k in range(STEEP.n_updates + 1)])  # (80, 8)
    assert (slopes[0] == 1).all() and (slopes.diff(dim=0) >= 0).all()
    last = torch.tensor([3.0, 3, 8, 8, 3, 3, 8, 8])  # two units' gates i, f, g, o
    torch.testing.assert_close(slopes[-1], last)
    list(train(model, ANB2N, STEEP, [0]))
    inputs = torch.tensor([[0, 0, 1, 1, 1, 1]])
    steep = model(inputs)
    model.fold(1 / last)
    torch.testing.assert_close(model(inputs, slope=last).logits, steep.logits)
    assert not torch.allclose(model(inputs).logits, steep.logits, atol=1e-3)


def test_a_steep_training_that_is_resumed_ends_the_same():
    whole, _ = run(STEEP, [0, 1], kind="lstm", report_every=80)
    model = build(ANB2N, "lstm", 2, [0, 1], STEEP)
    record = next(train(model, ANB2N, STEEP, [0, 1], report_every=80))
    state = {"done": record.sequences, "optimizer_state": record.optimizer_state()}
    list(train(model, ANB2N, STEEP, [0, 1], report_every=80, **state))
    for name in whole.names:
        assert torch.equal(getattr(model, name), getattr(whole, name))


def test_only_counting_lstms_count_far():
    with pytest.raises(RecipeError, match="--model lstm"):
        far_recipe(ANB2N, "srn", 2)
    with pytest.raises(RecipeError, match="count"):
        far_recipe(ReberLanguage(), "lstm", 3)
    recipe = with_options(SHORT, undetermined_aim="mean")
    with pytest.raises(RecipeError, match="reber"):
        run(recipe, [0], language=ReberLanguage())


def test_training_is_the_same_whether_or_not_it_is_judged():
    judged, (record, *_) = run(SHORT, [5])
    plain, (bare, *_) = run(SHORT, [5], judge=False)
    assert record.streams_right is not None and bare.loss is None and bare.streams_right is None
    assert all(torch.equal(getattr(judged, name), getattr(plain, name)) for name in judged.names)
