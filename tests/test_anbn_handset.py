"""The exact counters against the languages themselves."""

import random

import pytest
import torch

from anbn.catalogue import named
from anbn.counting import CountingLanguage
from anbn.evaluate import right_steps
from anbn.handset import default_stop, handset, n_hidden_needed
from anbn.languages import LanguageError
from anbn.models import LSTM, ModelError
from anbn.reber import ReberLanguage

FAMILY = ("anbn", "anb2n", "anbncn", "anb2nc3n", "anb3n", "anbncndn")
DTYPES = (torch.float32, torch.float64)


def random_multiples(seed):
    draw = random.Random(seed)
    return (1, *(draw.choice((1, 2, 3, 5, 9, 40)) for _ in range(draw.randint(1, 4))))


def wrong_steps(model, stream):
    with torch.no_grad():
        predicted = model(stream.inputs).logits[0].argmax(-1)
    return int(((predicted != stream.targets) & stream.deterministic).sum())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FAMILY)
def test_right_on_single_strings_and_in_streams(name, dtype):
    language = CountingLanguage.named(name)
    model = handset(language, dtype)
    assert model.U.dtype == dtype and model.n_hidden == n_hidden_needed(language)
    assert wrong_steps(model, language.strings(torch.tensor([1, 2, 3, 10]))) == 0
    # in a stream the counters must come back to 0 by themselves
    n = torch.tensor([[3, 1, 10, 2, 1], [1, 1, 1, 1, 1], [10, 9, 3, 2, 30]])
    assert wrong_steps(model, language.streams(n)) == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("dtype", DTYPES)
def test_right_for_any_multiples(seed, dtype):
    language = CountingLanguage(random_multiples(seed), 6)
    n = torch.randint(1, 7, (4, 5), generator=torch.Generator().manual_seed(seed))
    assert wrong_steps(handset(language, dtype), language.streams(n)) == 0


def test_right_for_26_letters_and_for_the_largest_multiple():
    letters = CountingLanguage((1,) * 26, 4)
    assert wrong_steps(handset(letters), letters.streams(torch.tensor([[3, 1, 2]]))) == 0
    large = CountingLanguage((1, 99), 4)
    assert wrong_steps(handset(large), large.streams(torch.tensor([[3, 1, 2]]))) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FAMILY)
def test_right_at_a_hundred_thousand(name, dtype):
    """Each letter's block is cut into 100 pieces of 1,000 groups, read side by side from the state
    they must begin in. The state each piece ends in is the one the next begins in, bit by bit: so
    the pieces are the steps of the one string."""
    language, n, pieces = CountingLanguage.named(name), 100_000, 100
    model = handset(language, dtype)
    groups = n // pieces
    with torch.no_grad():
        after_a = model(torch.tensor([[0]])).cell[:, :, 0]  # the phase is the same after any A
    n_letters = language.n_symbols
    reached = model.start(1)  # by the pieces so far
    for k, multiple in enumerate(language.multiples):
        begin = torch.arange(pieces) * groups  # groups read before each piece
        cell = torch.zeros(1, pieces + 1, n_letters, dtype=dtype)  # and after the last one
        begun = torch.cat([begin, torch.tensor([n])]).to(dtype)
        for other in range(1, n_letters):
            untouched = torch.full_like(begun, 0.0 if other < k else float(n))
            full = {0: begun, other: n - begun}.get(k, untouched)
            cell[0, :, other] = full
        cell[0, :, 0] = after_a[0, 0, 0] if k == 0 else 0
        cell[0, 0] = reached.cell[0, 0]
        hidden = cell.tanh()
        if k == 0:
            hidden[0, :, 1:] = 0  # A shows no counter
        inputs = torch.full((pieces, groups * multiple), k)
        # The first pass begins in torch's tanh of the cells, the second in what the first reached:
        # the network's own tanh may differ from torch's in the last bit.
        for _ in range(2):
            hidden[0, 0] = reached.hidden[0, 0]
            start = type(reached)(hidden[:, :pieces], cell[:, :pieces])
            with torch.no_grad():
                activity = model(inputs, start)
            ends = activity.hidden[:, :, -1]
            begun_in, hidden = hidden, torch.cat([hidden[:, :1], ends], dim=1)
        assert torch.equal(activity.cell[0, :, -1], cell[0, 1:])
        assert torch.equal(hidden, begun_in)
        reached = type(reached)(hidden[:, -1:], cell[:, -1:])
        predicted = activity.logits[0].argmax(-1)
        if k > 0:
            assert (predicted[-1, -1]) == (k + 1) % n_letters
            predicted[-1, -1] = k
            assert (predicted == k).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_cells_hold_whole_numbers(dtype):
    language = CountingLanguage.named("anb2nc3n")
    stream = language.strings(torch.tensor([2]))
    with torch.no_grad():
        cell = handset(language, dtype)(stream.inputs).cell[0, 0]
    assert cell[:, 1].tolist() == [1, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert cell[:, 2].tolist() == [1, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 0]
    phase = [-1 / 4, -1 / 4, 1 / 4, 0, 1 / 2, 0, 1 / 3, 2 / 3, 0, 1 / 3, 2 / 3, 0]
    torch.testing.assert_close(cell[:, 0], torch.tensor(phase, dtype=dtype))


@pytest.mark.parametrize("name", FAMILY)
def test_probability_after_an_a_is_one_constant(name):
    language = CountingLanguage.named(name)
    every_n = torch.arange(1, language.length + 1)
    stream = language.strings(every_n)
    undetermined = stream.valid & ~stream.deterministic
    # as often as B follows an A in training
    share = len(every_n) / int(every_n.sum())
    assert default_stop(language) == pytest.approx(share)
    for stop in (None, 0.2):
        with torch.no_grad():
            activity = handset(language, torch.float64, stop=stop)(stream.inputs)
        expected = torch.zeros(language.n_symbols, dtype=torch.float64)
        expected[1] = share if stop is None else stop
        expected[0] = 1 - expected[1]
        shown = activity.probability[0][undetermined]
        torch.testing.assert_close(shown, expected.expand_as(shown), atol=1e-9, rtol=0)
        certain = activity.probability[0].gather(-1, stream.targets[..., None])[..., 0]
        assert certain[stream.deterministic].min() > 1 - 1e-12


def test_spare_units_do_nothing():
    language = CountingLanguage.named("anb2nc3n")
    stream = language.streams(torch.tensor([[2, 1, 3]]))
    with torch.no_grad():
        plain, spare = (handset(language, n_hidden=h)(stream.inputs) for h in (3, 5))
    assert torch.equal(plain.logits, spare.logits)
    assert not spare.hidden[..., 3:].any()


def test_is_a_single_lstm_that_can_be_stored():
    model = handset(CountingLanguage.named("anbn"))
    assert isinstance(model, LSTM) and model.n_networks == 1
    assert set(model.network_state(0)) == {"W", "U", "hid_bias", "V", "out_bias"}


def test_refuses():
    language = CountingLanguage.named("anb2nc3n")
    with pytest.raises(ModelError, match="3 are needed"):
        handset(language, n_hidden=2)
    with pytest.raises(LanguageError, match="no hand-set weights for reber"):
        handset(ReberLanguage())
    for stop in (0, 1.5, float("nan")):
        with pytest.raises(LanguageError, match="probability"):
            handset(language, stop=stop)


def all_right(model, language, stream):
    """Every step as `solved` asks for."""
    with torch.no_grad():
        right = right_steps(model(stream.inputs).logits, stream, language)
    return bool((right | ~stream.valid).all())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["anbmcmdn", "anbmcndm", "anbmcn+m", "anbmcm", "anbmckdkemfn"])
def test_several_counters(name, dtype):
    """In streams, on every pair up to 12, and at 1,000 of either count."""
    language = named(name)
    model = handset(language, dtype)
    generator = torch.Generator().manual_seed(0)
    assert all_right(model, language, language.streams(language.draw((50,), generator)))
    assert all_right(model, language, language.grid(12))
    rest = [1] * (language.n_counters - 2)
    far = torch.tensor([[1000, 2, *rest], [3, 1000, *rest]])
    assert all_right(model, language, language.strings(far))
    # where a count is not known yet, the constant distribution that was asked for
    chances = model(torch.tensor([[0, 0, 1]])).probability[0, 0]
    stop = default_stop(language)
    assert chances[1, :2].tolist() == pytest.approx([1 - stop, stop], abs=1e-4)
    assert chances[2, 1:3].tolist() == pytest.approx([1 - stop, stop], abs=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_brackets_of_one_kind(dtype):
    language = named("dyck1")
    model = handset(language, dtype)
    assert model.n_hidden == n_hidden_needed(language) == 2
    stream = language.streams(language.draw((200,), torch.Generator().manual_seed(0)))
    assert all_right(model, language, stream) and all_right(model, language, language.grid(8))
    torch.testing.assert_close(
        model(stream.inputs).probability[0].float(), stream.probability, atol=1e-4, rtol=0
    )


@pytest.mark.slow
def test_several_counters_and_brackets_at_100_000():
    """Rounding errors do not add up: whole numbers have none."""
    for name in ("anbmcmdn", "anbmcndm", "anbmcn+m"):
        language = named(name)
        far = language.strings(torch.tensor([[100_000, 2], [3, 100_000]]))
        assert all_right(handset(language), language, far)
    brackets = (torch.arange(200_000) >= 100_000).long()[None]  # 100,000 opened, then closed
    with torch.no_grad():
        logits = handset(named("dyck1"))(brackets).logits[0, 0]
    opens, closes = logits[:-1].unbind(-1)
    torch.testing.assert_close(opens, closes, atol=1e-3, rtol=0)  # both may follow
    assert logits[-1, 0] > logits[-1, 1] + 10


@pytest.mark.parametrize("name", ["dyck2", "anbncmdm", "anbmc2n+m"])
def test_languages_without_hand_set_weights(name):
    with pytest.raises(LanguageError, match="no hand-set weights"):
        handset(named(name))
