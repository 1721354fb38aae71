"""Every form of sentence that an explanation has, with a check of whether it is true, from the
weights alone (oracle.py). `check` explains a network and checks every sentence."""

import re

import numpy as np
import torch
from oracle import Oracle, correlation, last_of, near

from anbn.analysis import explain
from anbn.analysis.extract import extract

N_MOST = 40

FORMS = []


def form(pattern):
    def keep(check):
        FORMS.append((re.compile(pattern), check))
        return check

    return keep


@form(r"(Solved|Not solved): (\d+) of 300 fresh streams are right at every step that is certain")
def verdict(o, word, right):
    language = o.language
    stream = language.streams(language.draw((300,), torch.Generator().manual_seed(0)))
    texts = [stream.text(o.letters, b) for b in range(300)]
    o.read_all(texts)
    found = sum(not o.wrong_steps(text) for text in texts)
    return found == int(right) and (found >= 297) == (word == "Solved")


@form(r"The single string of n = 1 fails")
def first(o):
    return o.fails(1)


@form(r"Single strings are right for (n = 1.*); n = (\d+) fails")
def single(o, right, fails):
    right = last_of(right)
    return (
        int(fails) == right + 1 and [o.fails(n) for n in range(1, right + 2)].index(True) == right
    )


@form(r"Single strings are right for every n up to (\d+)")
def all_right(o, most):
    return not any(o.fails(n) for n in range(1, int(most) + 1))


@form(r"Read after another string, (\d+) of (\d+) strings fail that are right from the start: (.*)")
def pairs(o, count, of, some):
    ns = range(1, o.length + 1)
    bad = {
        (m, n)
        for m in ns
        for n in ns
        if not o.fails(n) and o.wrong_steps(o.word(m) + o.word(n) + "A", len(o.word(m)))
    }
    named_pairs = {(int(m), int(n)) for n, m in re.findall(r"n = (\d+) after n = (\d+)", some)}
    return len(bad) == int(count) and len(ns) ** 2 == int(of) and named_pairs <= bad


@form(
    r"While (.) is read, (no )?(cell|hidden unit) (?:(\d+) )?follows the letters . (?:read|still "
    r"to "
    r"come)(?:; the nearest is .*? (\d+))? \(correlation (-?[\d.]+) over (.*?)\)(?:, and n since "
    r"the "
    r"last (.))?; at n = (\d+) it (.*)"
)
def reading(o, letter, no, name, unit, nearest, value, over, since, n, movement):
    unit = int(unit or nearest) - 1
    counts, units = o.counts_and_units(letter)
    moving = [u for u in range(units.shape[1]) if np.ptp(units[:, u]) >= 0.02]
    follows = {u: correlation(counts, units[:, u]) for u in moving}
    ok = name == o.unit_name and unit in moving and abs(float(value) - follows[unit]) < 0.0051
    ok &= last_of(over) == int(n) == o.length
    if no:
        ok &= all(abs(c) < 0.8 for c in follows.values())
    else:
        ok &= abs(follows[unit]) >= 0.8
    if since:
        ends = [o.path(m, since, unit)[-1] for m in range(1, o.length + 1)]
        ok &= abs(correlation(range(o.length), ends)) >= 0.95
        ok &= o.letters.index(since) < o.letters.index(letter)
    return ok and moves_so(movement, o.path(o.length, letter, unit), letter)


def moves_so(words, path, letter):
    number, steps, size = r"(-?[\d.e-]+)", np.diff(path), np.ptp(path)
    slack = 0.0201 * size
    if found := re.fullmatch(f"stays at about {number}", words):
        return size < 0.02 and near(found[1], path[0])
    if found := re.fullmatch(
        f"goes from {number}(?: over {number} at (.) number (\\d+))? to {number}, by {number}"
        f"(?: to {number})? per letter",
        words,
    ):
        start, middle, name, turn, end, least, most = found.groups()
        turn = int(turn or 1) - 1
        ok = near(start, path[0]) and near(end, path[-1]) and (not middle or name == letter)
        ok &= not middle or (near(middle, path[turn]) and 0 < turn)
        ok &= near(least, abs(steps).min()) and near(most or least, abs(steps).max())
        parts = (part for part in (steps[:turn], steps[turn:]) if len(part))
        return ok and all((p > -slack).all() or (p < slack).all() for p in parts)
    found = re.fullmatch(f"(jumps to and fro|moves both ways) between {number} and {number}", words)
    ok = near(found[2], path.min()) and near(found[3], path.max())
    if found[1] == "jumps to and fro":
        return ok and (steps[1:] * steps[:-1] < 0).all()
    return ok and steps.max() > 0 > steps.min()


@form(
    r"Of (n = 1.*?), (one|\d+) letters? A and (\d+) leave the (?:cell|hidden unit)s closest "
    r"together: "
    r"(.*) apart"
)
def closest(o, over, one, two, apart):
    after_a = o.read("A" * o.length)[0]
    gaps = np.linalg.norm(after_a[:, None] - after_a, axis=-1) + 1e9 * np.eye(o.length)
    i, j = int(one.replace("one", "1")) - 1, int(two) - 1
    return last_of(over) == o.length and near(apart, gaps[i, j]) and gaps[i, j] < gaps.min() + 1e-9


@form(
    r"Between neighbouring counts of (n = 1.*?) distances change by a factor of (\S+) per A and "
    r"(\S+) "
    r"per B; over one A and its .*?B that makes (\S+), where 1 would treat all n alike"
)
def neighbours(o, over, down, up, product):
    m, last = o.language.multiples[1], last_of(over)
    after_a = o.read("A" * last)[0]
    gap = np.linalg.norm(np.diff(after_a, axis=0), axis=-1)
    ends = [
        np.linalg.norm(
            o.read("A" * (n + 1) + "B" * m * n)[0][-1] - o.read("A" * n + "B" * m * n)[0][-1]
        )
        for n in range(1, last)
    ]
    contraction = (gap[-1] / gap[0]) ** (1 / (last - 2))
    grown = np.exp(np.log(np.array(ends) / gap).sum() / (m * sum(range(1, last))))
    return near(down, contraction) and near(up, grown) and near(product, contraction * grown**m)


@form(
    r"Reading A for ever leads to a (stable fixed point|cycle of \d points), approached by a "
    r"factor of "
    r"(\S+) per A and (\S+) away after (\d+) A"
)
def attractor(o, where, factor, away, n):
    period = 1 if "stable" in where else int(where.split()[2])
    h = o.read("A" * 6000)[1][-1]
    again, slope = h, np.eye(len(h))
    for k in range(period):
        again = o.map("A", again)
        slope = slope @ (o.p["U"] * (1 - again**2))
        shorter = k + 1 < period and abs(again - h).max() < 1e-6
        if shorter:
            return False
    size = abs(np.linalg.eigvals(slope)).max() ** (1 / period)
    points, point = [], h
    for _ in range(period):
        points.append(np.linalg.norm(point - o.read("A" * int(n))[1][-1]))
        point = o.map("A", point)
    ok = abs(again - h).max() < 1e-6 and near(factor, size) and size < 1
    return ok and any(near(away, distance) for distance in points)


@form(r"No repelling fixed point of B's map was found")
def no_repeller(o):
    return not any(size > 1.000001 for _, size in fixed_points_of_b(o))


@form(
    r"A (saddle|repelling point) of B's map lies (\S+) away from the nearest state while B is "
    r"read; "
    r"distances from it grow by a factor of (\S+) per B(?:, and over one A and its .*?B the "
    r"factors at "
    r"the two points make (\S+))?"
)
def repeller(o, kind, away, factor, product):
    ns = range(1, o.length + 1)
    states = np.concatenate([o.read(o.word(n))[1][list(o.block(n, "B"))] for n in ns])
    for point, size in fixed_points_of_b(o):
        distance = np.linalg.norm(states - point, axis=-1).min()
        if near(factor, size) and size > 1 and near(away, distance):
            return True
    return False


def fixed_points_of_b(o):
    """[(point, size of the largest eigenvalue)] found by Newton's method from random states."""
    U, found = o.p["U"], []
    h = np.random.default_rng(0).uniform(-1, 1, (1000, len(U)))
    h = np.concatenate([h, *(o.read(o.word(n))[1] for n in range(1, o.length + 1))])
    for _ in range(60):
        image = o.map("B", h)
        slope = np.eye(len(U)) - (U * (1 - image**2)[:, None]).swapaxes(1, 2)
        step = np.linalg.solve(slope + 1e-13 * np.eye(len(U)), (image - h)[..., None])[..., 0]
        h = np.clip(h + np.clip(step, -0.5, 0.5), -1, 1)
    for point in h[abs(o.map("B", h) - h).max(-1) < 1e-9]:
        if all(abs(point - other).max() > 1e-5 for other, _ in found):
            slope = U * (1 - point**2)
            found.append((point, abs(np.linalg.eigvals(slope)).max()))
    return found


@form(r"While (.) is read, the output never turns to (.) \((.*)\)")
def never(o, letter, after, over):
    return o.after(letter) == after and not o.turned(letter).any() and last_of(over) == o.length


@form(r"While (.) is read, the output is (.) at once \((.*)\)")
def at_once(o, letter, after, over):
    return o.after(letter) == after and o.turned(letter).all() and last_of(over) == o.length


@form(
    r"While (.) is read, the output is (.) where (?:cell|hidden unit) (\d+) is at (most|least) "
    r"(\S+), and "
    r"another letter where it is at (?:most|least) (\S+) \((.*)\)"
)
def turns(o, letter, after, unit, side, inner, outer, over):
    values, turned = o.counts_and_units(letter)[1][:, int(unit) - 1], o.turned(letter)
    sign = 1 if side == "most" else -1
    yes, no = sign * values[turned], sign * values[~turned]
    ok = o.after(letter) == after and last_of(over) == o.length and yes.max() < no.min()
    return ok and near(inner, sign * yes.max()) and near(outer, sign * no.min())


@form(r"No single (?:cell|hidden unit) tells where the output turns from (.) to (.) \((.*)\)")
def no_unit_turns(o, letter, after, over):
    turned, units = o.turned(letter), o.counts_and_units(letter)[1]
    if turned.all() or not turned.any():
        return False
    for values in units.T:
        yes, no = values[turned], values[~turned]
        gap = max(no.min() - yes.max(), yes.min() - no.max())
        if gap > 0.0101 * max(np.ptp(values), 0.02):
            return False
    return o.after(letter) == after


@form(
    r"From the first (.) of n = (\d+) to the last, the logit of (.) minus that of . goes from "
    r"(\S+) to "
    r"(\S+): (.*)"
)
def lead(o, letter, n, after, start, end, parts):
    steps = o.block(int(n), letter)
    _, hidden, logits = o.read(o.word(int(n)))
    k, j = o.letters.index(letter), o.letters.index(after)
    lead = (logits[:, j] - logits[:, k])[[steps[0], steps[-1]]]
    change = (hidden[steps[-1]] - hidden[steps[0]]) * (o.p["V"][:, j] - o.p["V"][:, k])
    said = re.findall(r"hidden unit (\d+) makes ([+-][\d.]+) of this", parts)
    ok = o.after(letter) == after and len(said) == min(3, len(change))
    ok &= abs(float(start) - lead[0]) < 0.06 and abs(float(end) - lead[1]) < 0.06
    return ok and all(abs(float(part) - change[int(u) - 1]) < 0.06 for u, part in said)


@form(r"For (n = 1.*?) it gives (\d*)n(?: ([+-]) (\d+))? letters (.)(, as it should)?")
def given_exactly(o, over, times, sign, error, letter, right):
    error = int(f"{sign}{error}") if error else 0
    ok = (
        bool(right) == (error == 0)
        and int(times or 1) == o.language.multiples[o.letters.index(letter)]
    )
    ns = range(1, last_of(over) + 1)
    return ok and all(o.given(n, letter) == int(times or 1) * n + error for n in ns)


@form(r"For (n = 1.*?) it gives (one|\d+) letters? (.), whatever n is")
def given_always(o, over, count, letter):
    count = int(count.replace("one", "1"))
    return all(o.given(n, letter) == count for n in range(1, last_of(over) + 1))


@form(r"For (n = 1.*?) it gives (.*) letters (.) where (\d*)n are right")
def given_list(o, over, counts, letter, times):
    counts = counts.split(", ")
    ok = len(counts) == last_of(over) == min(8, o.length)
    for n, count in enumerate(counts, start=1):
        right = len(o.block(n, letter))
        found = o.given(n, letter)
        ok &= count == (f"over {2 * right + 10}" if found is None else f"{found}")
    return ok and int(times or 1) == len(o.block(1, letter))


@form(
    r"At n = (\d+) it fails after (?:(\d+) of (\d+) letters|the only letter) (.): (.) is "
    r"predicted, not "
    r"(.?)(?:, (?:(one|\d+) letters? . too early|(too late)))?"
)
def fails(o, n, read, total, letter, predicted, expected, early, late):
    n, read, total = int(n), int(read or 1), int(total or 1)
    steps = o.block(n, letter)
    text = o.word(n) + "A"
    t = steps[0] + read
    ok = o.wrong_steps(text)[0] == t and len(steps) == total and text[t] == expected
    ok &= o.predicts(text[:t], predicted) and predicted != expected
    if early:
        ok &= predicted == o.after(letter) and total - read == int(early.replace("one", "1"))
    if late:
        ok &= predicted == letter and read == total
    return ok


@form(
    r"(Cell|Hidden unit) (\d+) stands at (\S+) then; at the last (.) of (n = 1.*?) it stands "
    r"(?:at|between) "
    r"(\S+)(?: and (\S+))?"
)
def stands(o, name, unit, value, letter, over, low, high):
    n = next(n for n in range(1, N_MOST + 1) if o.fails(n))
    text = o.word(n) + "A"
    t = o.wrong_steps(text)[0]
    unit = int(unit) - 1
    ends = [o.path(m, letter, unit)[-1] for m in range(1, last_of(over) + 1)]
    ok = last_of(over) < n and text[t - 1] == letter
    ok &= near(value, o.read(o.word(n))[0][t - 1, unit])
    return ok and near(low, min(ends)) and near(high or low, max(ends))


@form(
    r"By then an A hardly moves the (?:cell|hidden unit)s: A number (\d+) by (\S+), A number 2 by "
    r"(\S+)"
)
def hardly(o, n, late, early):
    moved = np.linalg.norm(np.diff(o.read("A" * int(n))[0], axis=0), axis=-1)
    return near(late, moved[-1]) and near(early, moved[0]) and moved[-1] < moved[0] / 10


@form(r"No unit by itself follows a count: how it counts cannot be told from single units")
def nothing(o):
    for letter in o.letters:
        counts, units = o.counts_and_units(letter)
        if any(abs(correlation(counts, column)) >= 0.8 for column in units.T):
            return len(counts) < 3
    return True


@form(
    r"As a finite-state machine it has (\d+) states? on n up to (\d+), which agree with the "
    r"network at "
    r"(\S+) % and with the language at (\S+) % of the steps of fresh strings; on n up to (\d+) it "
    r"has "
    r"(\d+) \((\S+) %, (\S+) %\)"
)
def machine(o, states, longest, network, language, twice, more, network2, language2):
    ok = int(longest) == o.language.machine_length and int(twice) == 2 * int(longest)
    for length, n_states, with_network, with_language in (
        (int(longest), states, network, language),
        (int(twice), more, network2, language2),
    ):
        found = extract(o.model, o.language, length)
        draws = o.language.draw((200,), torch.Generator().manual_seed(1), length=length)
        stream = o.language.streams(draws)
        texts = [stream.text(o.letters, b) for b in range(200)]
        o.read_all([text[:-1] for text in texts])
        same = right = steps = 0
        for text in texts:
            favourites = o.read(text[:-1])[2].argmax(-1)
            for t, guess in enumerate(found.predictions(text[:-1])):
                legal = "AB" if text[t] == "A" else text[t + 1]
                favourite = o.letters[favourites[t]]
                same += guess == (legal if favourite in legal else favourite)
                right += guess == legal
                steps += 1
        ok &= found.n_states == int(n_states)
        ok &= abs(float(with_network) - 100 * same / steps) < 0.011
        ok &= abs(float(with_language) - 100 * right / steps) < 0.011
        ok &= (with_language == "100") == (right == steps)
    return ok


@form(r"It takes a state per count, so the number grows with n")
def grows(o):
    near_far = [extract(o.model, o.language, k * o.language.machine_length) for k in (1, 2)]
    return near_far[0].n_states < near_far[1].n_states and not any(
        o.fails(n) for n in range(1, 2 * o.language.machine_length + 1)
    )


@form(r"The smaller machine is first wrong on (\S+), after (one symbol|\d+ symbols)")
def shortest(o, text, after):
    read = 1 if after == "one symbol" else int(after.split()[0])
    found = extract(o.model, o.language)

    def first_wrong(word):
        legal = ["AB" if a == "A" else b for a, b in zip(word, word[1:] + "A", strict=True)]
        told = found.predictions(word)
        return next((t + 1 for t in range(len(word)) if told[t] != legal[t]), None)

    n = text.count("A")
    ok = text == o.word(n) and first_wrong(text) == read and after != "1 symbols"
    return ok and all(first_wrong(o.word(m)) is None for m in range(1, n))


def check(model, language):
    """Explain a network and check every sentence. Returns the sentences."""
    model, oracle = model.double(), Oracle(model.double(), language)
    lines = explain(model, language, n_most=N_MOST)
    for line in lines:
        for pattern, true in FORMS:
            if found := pattern.fullmatch(line.removesuffix(".").removesuffix("; 297 are needed")):
                assert true(oracle, *found.groups()), line
                break
        else:
            raise AssertionError(f"unknown form: {line}")
    return lines
