"""LSTM weights set by hand that recognise a^n b^(jn) c^(kn)... exactly, for every n the number
format can count to.

    model = handset(catalogue.named("anb2nc3n"))   # 3 hidden units, one network
    n=2    read    A    A    B    B    B    B    C    C    C    C    C    C
    phase        -1/4 -1/4  1/4  0   1/2   0   1/3  2/3   0   1/3  2/3   0   of a group is read
    B's cell       1    2    2   1    1    0    0    0    0    0    0    0   groups of 2 to come
    C's cell       1    2    2   2    2    2    2    2    1    1    1    0   groups of 3 to come

Derivation. The gates are sigmoids and the candidate is a tanh. With weights of +-LARGE they are
0, 1 and -1, 0, 1 without any rounding error, so that `cell = forget * cell + input * candidate`
can hold a whole number, add 1 to it, take 1 from it or clear it, exactly. Other steps are rounded,
and the error grows with every step; a ratio such as 1:3 therefore cannot come from the size of a
step. It comes from a phase instead.

  Counters. Each letter after the first has a cell (forget gate 1 throughout). Reading A adds 1 to
  all of them. The letter with multiple m takes 1 from its own counter at the last letter of each
  group of m, and leaves the others alone. After n groups its counter is 0 again, ready for the
  next string. Whole numbers are exact up to 2^24 in float32 and 2^53 in float64; so is n.

  Phase. The first cell tells how much of a group is read: 0, 1/m, ..., (m-1)/m. A letter adds 1/m
  (input and forget gate 1); the last of a group, known by the phase before it, clears it (both 0),
  and with it the rounding errors. While A is read the phase stands at -1/(2m), m the multiple of B:
  below 0, so that "an A was just read" differs from "all done", but above the distance at which the
  first B's group would seem a letter longer.

  Read-out. The counters' output gates close on A, so the logits after an A do not depend on n: they
  are those of a constant distribution, P(B) = `stop`. After any other letter hidden = tanh(cell)
  is 0, or at least tanh(1) = 0.76. The next letter is the first whose counter is above 0, else A:
  each letter's read-out weight outdoes the largest value of the letter after it.

Several counters (anbmcmdn, anbmcndm, anbmcn+m): a letter that brings in a counter has a unit that
shows that it was just read, -1/4, and that any other letter clears; each letter after them has its
counter, one up with every letter it must be as many as, one down with its own.

dyck1: one cell counts the brackets open. A second one shows whether there are any, by the same
amount for every depth: after ( there are, after ) only if the first showed more than one before.

Why not fewer units. While B is read two numbers must be kept, the letters B still to come and
the n that the rest will need; no bounded number of values of the other units can hold one of them.
Without the phase unit "an A was just read" and "all done" both show hidden = 0, and A could not be
certain after the last letter. So two letters need 2 units and three letters need 3. For four and
more two counters could hand n to and fro; here each letter keeps its own.

The idea of a cell that counts down to exactly 0 is that of Lan, Chemla & Katzir (2024).
"""

import math

import torch

from anbn.languages import LanguageError
from anbn.models import LSTM, ModelError

LARGE = 1000.0  # sigmoid(-1000) is 0 and tanh(1000) is 1, in float32 and in float64
MARGIN = 50.0  # nats between a certain symbol and any other
LEAST, MOST = math.tanh(1), 1.0  # of a counter above 0, as the hidden units show it


def n_hidden_needed(language):
    """Hidden units of the exact counter: one per letter; 2 for dyck1.

    Raises LanguageError for a language without hand-set weights.
    """
    if language.name == "dyck1":
        return 2
    late = not language.blocks or max(language.open) >= language.n_counters
    if late or not language.multiples and max(map(max, language.blocks)) > 1:
        raise LanguageError(
            f"there are no hand-set weights for {language.title}: they count a^n b^n and its "
            "family, dyck1, and several counters that the first letters bring in and no letter "
            "repeats"
        )
    return language.n_symbols


def default_stop(language):
    """The probability that a letter whose count is not known is the last: one in mean n,
    (length + 1) / 2. Of all constants it has the least cross-entropy."""
    return 2 / (language.length + 1)


def handset(language, dtype=torch.float32, n_hidden=None, stop=None):
    """An LSTM of one network (S = 1) that predicts every deterministic step of `language` right.

    n_hidden: more units than needed are allowed; the spare ones stay at zero.
    stop: P(B) after an A, default `default_stop`; the coursework's target has 0.2.
    Raises LanguageError for a language without hand-set weights or a `stop` outside (0, 1],
    ModelError for too few hidden units.
    """
    needed = n_hidden_needed(language)
    n_hidden = needed if n_hidden is None else n_hidden
    stop = default_stop(language) if stop is None else stop
    if n_hidden < needed:
        raise ModelError(
            f"{n_hidden} hidden units are too few to count {language.name} with hand-set weights: "
            f"{needed} are needed"
        )
    if not 0 < stop <= 1:
        raise LanguageError(f"the probability of B after an A is {stop}; it must be in (0, 1]")
    shapes = LSTM.shapes(language.n_symbols, n_hidden)
    weights = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}
    W, U, _, V, out_bias = weights.values()
    if language.multiples:
        _set_gates(W, U, language.multiples)
        _set_read_out(V, out_bias, language.multiples, stop)
    elif language.blocks:
        _set_several(W, V, out_bias, language, stop)
    else:
        _set_brackets(W, U, V, out_bias)
    return LSTM.from_parameters({name: w.to(dtype)[None] for name, w in weights.items()})


def _set_gates(W, U, multiples):
    """Fill W (K, 4H) and U (H, 4H), columns in the order i, f, g, o. Symbol 0 is A; unit 0 is the
    phase, unit k the counter of letter k."""
    W_i, W_f, W_g, W_o = W.chunk(4, -1)  # views, (K, H) each
    U_i, U_f, _, _ = U.chunk(4, -1)
    phase, counters = 0, slice(1, len(multiples))
    gaps = [last - earlier for last, earlier in map(_before_last, set(multiples) - {1})]
    slope = max((2 * LARGE / gap for gap in gaps), default=0.0)  # turns a gap into +-LARGE
    # U acts whatever is read: gates that shall not feel the phase are held against it
    firm = LARGE + slope
    W_i[:] = -firm
    W_f[:] = firm
    W_o[:] = LARGE
    # A: every counter one up and shown to nobody; the phase to -1/(2m), m the multiple of B
    W_i[0, counters] = firm
    W_g[0, counters] = LARGE
    W_o[0, counters] = -LARGE
    W_i[0, phase], W_f[0, phase] = firm, -firm
    W_g[0, phase] = -math.atanh(1 / (2 * multiples[1]))
    for k in range(1, len(multiples)):
        W_g[k, k] = -LARGE
        if multiples[k] == 1:  # every letter is the last of its group
            W_i[k, k] = firm
            W_f[k, phase] = -firm
        else:
            # at the last of a group the counter's input gate opens, the phase's gates close
            bias = slope * sum(_before_last(multiples[k])) / 2
            W_i[k, k] = -bias
            W_i[k, phase] = W_f[k, phase] = bias
            W_g[k, phase] = math.atanh(1 / multiples[k])
            U_i[phase, k] = slope
    U_i[phase, phase] = U_f[phase, phase] = -slope


def _before_last(multiple):
    """What the phase unit shows before the last letter of a group and one letter earlier: the
    least and the greatest value it can have there. The group of B that follows an A starts half
    a letter low."""
    return math.tanh((multiple - 1.5) / multiple), math.tanh((multiple - 2) / multiple)


def _set_read_out(V, out_bias, multiples, stop):
    """Fill V (H, K) and out_bias (K,).

    All hidden units at 0: A, by MARGIN. The phase unit below 0 lifts B to its share after an A.
    Each letter's counter outweighs those after it; B's also outweighs the phase within a group.
    """
    phase, n_letters = 0, len(multiples)
    out_bias[1:] = -MARGIN
    after_a = math.tanh(1 / (2 * multiples[1]))  # what the phase unit shows then, negated
    V[phase, 1] = -(MARGIN + _log_odds(stop)) / after_a
    weight = _rank(V, range(2, n_letters))
    V[1, 1] = weight + abs(V[phase, 1]) * math.tanh(1) / LEAST


def _log_odds(stop):
    return min(math.log(stop) - math.log1p(-stop), MARGIN) if stop < 1 else MARGIN


def _rank(V, letters):
    """Read-out weights of the counters of `letters`: whatever they show, the first letter whose
    counter is above 0 wins by MARGIN, and the last over A. Returns the weight of one more, before
    them."""
    weight = 2 * MARGIN / LEAST
    for k in reversed(letters):
        V[k, k] = weight
        weight = (weight * MOST + MARGIN) / LEAST
    return weight


def _set_several(W, V, out_bias, language, stop):
    """Fill W (K, 4H), V (H, K) and out_bias (K,) for several counters; nothing recurs. The units of
    the first letters, which bring in the counters, show that they were just read."""
    W_i, W_f, W_g, W_o = W.chunk(4, -1)  # views, (K, H) each
    n_open = language.n_counters
    W_i[:], W_f[:], W_o[:] = -LARGE, LARGE, LARGE
    W_f[:, :n_open] = -LARGE
    W_o[:n_open, n_open:] = -LARGE  # the counters are shown once all of them are known
    out_bias[1:] = -MARGIN
    just_read = math.tanh(1 / 4)
    for v in range(n_open):
        W_i[v, v], W_g[v, v] = LARGE, -math.atanh(1 / 4)
        lift = 2 * MARGIN if v else MARGIN  # A needs none
        V[v, v] = -lift / just_read if v else 0
        V[v, v + 1] = -(lift + _log_odds(stop)) / just_read
    for k in range(n_open, language.n_symbols):
        for v, times in enumerate(language.blocks[k]):
            if times:
                W_i[v, k] = W_g[v, k] = LARGE
        W_i[k, k], W_g[k, k] = LARGE, -LARGE
    _rank(V, range(n_open, language.n_symbols))


def _set_brackets(W, U, V, out_bias):
    """Fill the weights of dyck1: unit 0 counts, unit 1 shows whether anything is open."""
    W_i, W_f, W_g, W_o = W.chunk(4, -1)
    one, two = math.tanh(1), math.tanh(2)  # what unit 0 shows at these depths
    slope = 2 * LARGE / (two - one)
    W_i[:], W_f[:], W_o[:] = -LARGE, LARGE, LARGE
    W_i[:, 0] = LARGE
    W_g[:, 0] = torch.tensor([LARGE, -LARGE], dtype=W.dtype)
    W_f[:, 1], W_g[:, 1] = -LARGE, LARGE
    W_i[0, 1], W_i[1, 1] = LARGE + slope, -slope * (one + two) / 2
    U[0, 1] = slope  # of unit 1's input gate
    out_bias[1], V[1, 1] = -MARGIN, MARGIN / one
