"""A short account in words of how a network counts, from its figures alone.

account(findings)            a counting network: which unit counts what, at what rate, where
                             it turns, where it fails and why
machine_account(studies)     what its finite-state machine shows; Reber networks have this only
"""

from anbn.counting import CountingLanguage


def account(findings):
    """A paragraph on a network that counts. findings: a findings.Findings."""
    sentences = [_reading_a(findings)]
    if findings.rates is not None:
        sentences += _dynamics(findings.rates, findings.language.multiples[1])
    for letter, after in _pairs(findings.language)[1:]:
        sentences.append(_counting(findings, letter, after))
    sentences += _end(findings)
    return " ".join(filter(None, sentences))


def _pairs(language):
    """Each letter and the one that follows its block."""
    letters = language.symbols
    return list(zip(letters, letters[1:] + letters[0], strict=True))


def _unit(findings):
    return "cell" if findings.kind == "lstm" else "hidden unit"


def _reading_a(findings):
    carriers = findings.carriers["A"]
    if not carriers:
        if findings.language.length == 1:
            return "With n = 1 only there is nothing to count."
        return "While A is read no unit moves: nothing is counted."
    unit, n = _unit(findings), findings.language.length
    if findings.oscillates:
        best = carriers[0]
        return (
            f"While A is read, {unit} {best.unit} jumps to and fro with every letter, from "
            f"{_number(best.first)} after one A to {_number(best.last)} after {n}: where it "
            "stands tells how many there were."
        )
    parts = [
        f"{unit} {c.unit} goes {_way(c)} (from {_number(c.first)} after one A to "
        f"{_number(c.last)} after {n}{_per_letter(c)})"
        for c in carriers
    ]
    return f"While A is read, {_list(parts)}{_roughly(carriers[0])}."


def _roughly(carrier):
    follows = abs(carrier.correlation)
    return (
        f", following the count only roughly (correlation {follows:.2f})" if follows < 0.8 else ""
    )


def _way(carrier):
    return "up" if carrier.last > carrier.first else "down"


def _per_letter(carrier):
    if carrier.rate is None:
        return ""
    return f", by {abs(carrier.rate):.2f} \N{PLUS-MINUS SIGN} {carrier.spread:.2f} per letter"


def _dynamics(rates, times):
    """The sentences on contraction and expansion; times: letters B per A."""
    sentences = []
    both = "one A and its B" if times == 1 else f"one A and its {times} letters B"
    if rates.measured_product is not None:
        sentences.append(
            "Measured between neighbouring counts, distances change by a factor of "
            f"{rates.measured_contraction:.2f} per A and {rates.measured_expansion:.2f} per B; "
            f"over {both} that makes {rates.measured_product:.2f} (1 would treat all n "
            "alike)."
        )
    if rates.attractor is None:
        sentences.append("Reading A leads to no fixed point and to no short cycle.")
    else:
        where = (
            "a stable fixed point"
            if rates.period == 1
            else f"a cycle of {rates.period} points, jumping from one to the next"
        )
        sentences.append(
            f"Reading A for ever leads to {where}, approached by a factor of "
            f"{rates.contraction:.2f} per A; it is {rates.attractor_distance:.2f} away from the "
            "state after the most A in training."
        )
    if rates.repeller is None:
        sentences.append(
            "The map of B has no repelling fixed point, so the count is taken back in passing, "
            "on the way to the point that attracts under B, and not by leaving a saddle."
        )
    else:
        kind = {"saddle": "the saddle", "unstable": "the unstable point"}.get(
            rates.repeller.kind, "the repelling point"
        )
        text = (
            f"Reading B leaves {kind} {rates.repeller_distance:.2f} away from the nearest state, "
            f"by a factor of {rates.expansion:.2f} per B"
        )
        if rates.product is not None:
            text += f"; over {both} the factors at these points make {rates.product:.2f}"
        sentences.append(text + ".")
    return sentences


def _counting(findings, letter, after):
    """The sentence on a letter after A: who counts, and where the output turns."""
    carriers = findings.carriers[letter]
    if not carriers:
        return ""
    best, unit = carriers[0], _unit(findings)
    turn = _span(*best.turn)
    source = findings.sources[letter]
    taken = (
        f", which took up the count while {source} was read," if source not in (None, "A") else ""
    )
    return (
        f"While {letter} is read, {unit} {best.unit}{taken} goes {_way(best)}{_per_letter(best)}"
        f"{_roughly(best)}; the output turns from {letter} to {after} where it has come to {turn}."
    )


def _end(findings):
    """The sentences on the first failing n and its cause."""
    failure = findings.failure
    if failure is None:
        return [f"Every certain symbol is predicted right for all n up to {findings.n_most:,}."]
    sentences = []
    if failure.n > 1:
        right = "n = 1" if failure.n == 2 else f"n = 1 to {failure.n - 1:,}"
        sentences.append(f"It is right for {right}.")
    early = failure.predicted != failure.letter and failure.read < failure.total
    late = failure.predicted == failure.letter and failure.read == failure.total
    left = failure.total - failure.read
    how = (
        f"{left} too early"
        if early and left
        else "it does not turn in time"
        if late
        else "the wrong letter"
    )
    sentences.append(
        f"At n = {failure.n:,} it fails: after {failure.read} of {failure.total} letters "
        f"{failure.letter} it predicts {failure.predicted} instead of {failure.expected} ({how})."
    )
    sentences.append(_why(findings, failure, early, late))
    return sentences


def _why(findings, failure, early, late):
    """What the figures say about the cause; empty where they say nothing."""
    if failure.n > findings.language.length and failure.gap < failure.first_gap / 10:
        return (
            f"By then an A moves the state by {failure.gap:.2g} only, against "
            f"{failure.first_gap:.2g} at the second A: neighbouring counts lie too close together "
            "to be told apart."
        )
    carriers = findings.carriers[failure.letter]
    if not carriers or failure.value is None:
        return ""
    best = carriers[0]
    low, high = best.turn
    ended = f"where blocks of n up to {findings.language.length} end ({_span(low, high)})"
    text = f"{_unit(findings).capitalize()} {best.unit} stands at {_number(failure.value)} then, "
    beyond = failure.value > high if best.last > best.first else failure.value < low
    if low <= failure.value <= high:
        text += f"{ended}"
        return text + (": it has counted too fast." if early else ".")
    if beyond:
        return text + f"beyond the place {ended}: it has counted too fast."
    text += f"short of the place {ended}"
    if late:
        return text + ": it has counted too slowly."
    return text + ", but the output turns earlier for so large a count."


def _span(low, high):
    """A range in words; its middle where it is narrow."""
    return _number(low) if high - low < 0.01 else f"{_number(low)} to {_number(high)}"


def machine_account(studies, language):
    """A paragraph on the network's finite-state machine. studies: extract.studies, at the training
    length and at twice that."""
    near, far = studies
    counting = isinstance(language, CountingLanguage)
    measure = "n up to {}" if counting else "strings of up to {} symbols"
    first, second = (measure.format(study.machine.longest) for study in studies)
    text = (
        f"As a finite-state machine the network has {near.machine.n_states} states on {first}, "
        f"which agree with it on {_share(near.with_network)} of the steps of fresh strings and "
        f"with the language on {_share(near.with_language)}; on {second} it has "
        f"{far.machine.n_states} ({_share(far.with_network)}, {_share(far.with_language)})."
    )
    if counting and far.machine.n_states > near.machine.n_states:
        text += " Counting takes a state per count, so the number grows with n."
    if near.differs is None:
        text += " The smaller machine is right on every string tried"
        # of all machines for a language, one with the fewest states is unique (Nerode 1958)
        if not counting and near.machine.n_states == len(language.state_names):
            text += ", and with as many states as the graph of the grammar it is that graph"
        return text + "."
    n = near.differs.count("A")
    which = f"that of n = {n}, " if counting else ""
    no_state = counting and n > near.machine.longest and near.differs_at == n
    return text + (
        f" The shortest string that the smaller machine gets wrong is {which}{near.differs}, after "
        f"{near.differs_at} symbols{', for which it has no state' if no_state else ''}."
    )


def _share(value):
    return f"{100 * value:.4g} %"


def _number(value):
    return f"{value:.2f}".replace("-0.00", "0.00")


def _list(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
