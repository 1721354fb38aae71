"""How one network counts, in words, and how it first fails: sentences from its Diagnosis.

Every sentence states figures and has a condition; where nothing can be said, none is written. The
tests read each sentence and work out its figures anew, from the weights.
"""

from anbn.analysis.diagnosis import MIN_MOVE, ROUGHLY

MAX_LISTED = 8  # numbers of letters given that are listed
STRAIGHT = 0.02  # of a path: steps against its direction that are smaller are not counted


def counting(diagnosis):
    """Sentences on how a network counts. diagnosis: a diagnosis.Diagnosis."""
    lines = [_pairs(diagnosis), _reading(diagnosis, "A"), _closest(diagnosis)]
    if diagnosis.rates is not None:
        lines += _dynamics(diagnosis.rates, diagnosis.language)
    for k, letter in enumerate(diagnosis.turns):
        lines += [_reading(diagnosis, letter), _turning(diagnosis, letter)]
        lines += [_lead(diagnosis, letter), _given(diagnosis, k, letter)]
    lines += _failing(diagnosis)
    units = [unit for unit in diagnosis.units.values() if unit is not None]
    if units and all(abs(unit.correlation) < ROUGHLY for unit in units):
        lines.append(
            "No unit by itself follows a count: how it counts cannot be told from single units."
        )
    return [line for line in lines if line]


def _pairs(diagnosis):
    failing = diagnosis.failing_pairs
    if not failing:
        return ""
    some = _list([f"n = {n} after n = {m}" for m, n in failing[:3]])
    return (
        f"Read after another string, {len(failing)} of {diagnosis.n_pairs} strings fail that are "
        f"right from the start: {'for example ' if len(failing) > 3 else ''}{some}."
    )


def _reading(diagnosis, letter):
    found, n = diagnosis.units[letter], diagnosis.language.length
    if found is None:
        return ""
    unit = f"{diagnosis.unit_name} {found.unit}"
    counted = "letters A read" if letter == "A" else f"letters {letter} still to come"
    follows = f"correlation {found.correlation:.2f} over {n_range(n)}"
    if abs(found.correlation) < ROUGHLY:
        text = f"no {diagnosis.unit_name} follows the {counted}; the nearest is {unit} ({follows})"
    else:
        text = f"{unit} follows the {counted} ({follows})"
    if found.since is not None:
        text += f", and n since the last {found.since}"
    return f"While {letter} is read, {text}; at n = {n} it {movement(found.path, letter)}."


def movement(path, letter):
    """How a unit moves along one string's letters of one kind."""
    steps = [after - before for before, after in zip(path, path[1:], strict=False)]
    low, high = min(path), max(path)
    if high - low < MIN_MOVE:
        return f"stays at about {number(path[0])}"
    slack = STRAIGHT * (high - low)
    for turn in (0, path.index(low), path.index(high)):
        parts = [part for part in (steps[:turn], steps[turn:]) if part]
        if all(min(part) > -slack or max(part) < slack for part in parts):
            over = f"over {number(path[turn])} at {letter} number {turn + 1} " if turn else ""
            sizes = [abs(step) for step in steps]
            by = " to ".join(dict.fromkeys([number(min(sizes)), number(max(sizes))]))
            return f"goes from {number(path[0])} {over}to {number(path[-1])}, by {by} per letter"
    to_and_fro = all(one * two < 0 for one, two in zip(steps, steps[1:], strict=False))
    how = "jumps to and fro" if to_and_fro else "moves both ways"
    return f"{how} between {number(low)} and {number(high)}"


def _closest(diagnosis):
    if diagnosis.closest is None:
        return ""
    one, two, distance = diagnosis.closest
    return (
        f"Of {n_range(diagnosis.language.length)}, {_letters(one, 'A')} and {two} leave the "
        f"{diagnosis.unit_name}s closest together: {number(distance)} apart."
    )


def _dynamics(rates, language):
    """On contraction and expansion of an SRN."""
    lines, times = [], rates.multiple
    both = "one A and its B" if times == 1 else f"one A and its {times} letters B"
    if rates.measured_product is not None:
        lines.append(
            f"Between neighbouring counts of {n_range(language.length)} distances change by a "
            f"factor of {number(rates.measured_contraction)} per A and "
            f"{number(rates.measured_expansion)} per B; over {both} that makes "
            f"{number(rates.measured_product)}, where 1 would treat all n alike."
        )
    if rates.attractor is not None and rates.contraction < 1:
        where = "a stable fixed point" if rates.period == 1 else f"a cycle of {rates.period} points"
        lines.append(
            f"Reading A for ever leads to {where}, approached by a factor of "
            f"{number(rates.contraction)} per A and {number(rates.attractor_distance)} away after "
            f"{language.length} A."
        )
    if rates.repeller is None:
        return [*lines, "No repelling fixed point of B's map was found."]
    kind = "A saddle" if rates.repeller.kind == "saddle" else "A repelling point"
    text = (
        f"{kind} of B's map lies {number(rates.repeller_distance)} away from the nearest state "
        f"while B is read; distances from it grow by a factor of {number(rates.expansion)} per B"
    )
    if rates.product is not None and rates.contraction < 1:
        text += f", and over {both} the factors at the two points make {number(rates.product)}"
    return [*lines, f"{text}."]


def _turning(diagnosis, letter):
    turn, unit, n = diagnosis.turns[letter], diagnosis.unit_name, n_range(diagnosis.language.length)
    if turn.share == 0:
        return f"While {letter} is read, the output never turns to {turn.after} ({n})."
    if turn.share == 1:
        return f"While {letter} is read, the output is {turn.after} at once ({n})."
    if turn.unit is None:
        return f"No single {unit} tells where the output turns from {letter} to {turn.after} ({n})."
    inner, outer = turn.bounds
    there, elsewhere = ("most", "least") if inner < outer else ("least", "most")
    return (
        f"While {letter} is read, the output is {turn.after} where {unit} {turn.unit} is at "
        f"{there} {number(inner)}, and another letter where it is at {elsewhere} {number(outer)} "
        f"({n})."
    )


def _lead(diagnosis, letter):
    """On the hidden units' parts in the change of the output."""
    turn = diagnosis.turns[letter]
    if max(map(abs, turn.parts)) < 0.1:
        return ""
    largest = sorted(enumerate(turn.parts, start=1), key=lambda part: -abs(part[1]))[:3]
    parts = _list([f"hidden unit {unit} makes {part:+.1f} of this" for unit, part in largest])
    return (
        f"From the first {letter} of n = {diagnosis.language.length} to the last, the logit of "
        f"{turn.after} minus that of {letter} goes from {turn.lead[0]:.1f} to {turn.lead[1]:.1f}: "
        f"{parts}."
    )


def _given(diagnosis, k, letter):
    """On the number of letters that the network gives before it turns."""
    length, times = diagnosis.language.length, diagnosis.language.multiples[k + 1]
    given, each = diagnosis.given[k], "n" if times == 1 else f"{times}n"
    where = f"For {n_range(length)} it gives"
    errors = {got - times * n for n, got in enumerate(given, start=1)}
    if 0 not in given:
        if errors == {0}:
            return f"{where} {each} letters {letter}, as it should."
        if len(errors) == 1 and length > 1:
            error = min(errors)
            return f"{where} {each} {'+' if error > 0 else '-'} {abs(error)} letters {letter}."
        if len(set(given)) == 1 and length > 1:
            return f"{where} {_letters(given[0], letter)}, whatever n is."
    counts = [  # 0: it has not turned within so many, see letters_given
        f"{got or f'over {2 * times * n + 10}'}"
        for n, got in enumerate(given[:MAX_LISTED], start=1)
    ]
    where = f"For {n_range(len(counts))} it gives"
    return f"{where} {', '.join(counts)} letters {letter} where {each} are right."


def _failing(diagnosis):
    """On the first failing n and what goes wrong there."""
    failure = diagnosis.failure
    if failure is None:
        return []
    letter, early, how = failure.letter, failure.total - failure.read, ""
    if early and failure.predicted == diagnosis.turns[letter].after:
        how = f", {_letters(early, letter)} too early"
    elif failure.predicted == letter:
        how = ", too late"
    read = f"{failure.read} of {failure.total} letters" if failure.total > 1 else "the only letter"
    lines = [
        f"At n = {failure.n:,} it fails after {read} {letter}: {failure.predicted} is "
        f"predicted, not {failure.expected}{how}."
    ]
    if failure.ends is not None:
        low, high = map(number, failure.ends)
        between = f"at {low}" if low == high else f"between {low} and {high}"
        lines.append(
            f"{diagnosis.unit_name.capitalize()} {diagnosis.units[letter].unit} stands at "
            f"{number(failure.value)} then; at the last {letter} of "
            f"{n_range(min(failure.n - 1, diagnosis.language.length))} it stands {between}."
        )
    if failure.moved and failure.moved[1] < failure.moved[0] / 10:
        lines.append(
            f"By then an A hardly moves the {diagnosis.unit_name}s: A number {failure.n} by "
            f"{number(failure.moved[1])}, A number 2 by {number(failure.moved[0])}."
        )
    return lines


def _letters(count, letter):
    return f"one letter {letter}" if count == 1 else f"{count} letters {letter}"


def n_range(last):
    return "n = 1" if last == 1 else f"n = 1 to {last:,}"


def number(value):
    """Two decimals, or two digits of what is small."""
    if abs(value) < 1e-9:
        return "0"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _list(parts):
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
