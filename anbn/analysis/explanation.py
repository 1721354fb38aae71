"""What can be said of any network in words: how good it is, and what finite-state machine it is.

How a network counts is in anbn/analysis/counting_words.py.
"""

from anbn.analysis.counting_words import n_range
from anbn.evaluate import N_STREAMS, SOLVED


def verdict(evaluation, language):
    """Sentences on how good the network is. evaluation: evaluate's, S = 1."""
    right = round(float(evaluation.stream_accuracy[0]) * N_STREAMS)
    what = "strings" if language.one_by_one else "streams"
    step = "every step" if language.judges_choices else "every step that is certain"
    text = f"{right} of {N_STREAMS} fresh {what} are right at {step}"
    needed = "" if evaluation.solved[0] else f"; {round(SOLVED * N_STREAMS)} are needed"
    lines = [f"{'Solved' if evaluation.solved[0] else 'Not solved'}: {text}{needed}."]
    if evaluation.recall_accuracy is not None:
        recalled = float(evaluation.recall_accuracy[0])
        lines.append(f"The outer T or P is recalled in {share(recalled)} of them.")
    if evaluation.first_failing_n is not None:
        first, most = int(evaluation.first_failing_n[0]), evaluation.n_most
        pairs = "every pair of {} and {}".format(*language.axes) if language.axes else ""
        lines.append(
            f"Single strings are right for {pairs} up to {min(first - 1, most):,}."
            if language.axes
            else f"Single strings are right for every n up to {most:,}."
            if first > most
            else f"Single strings are right for {n_range(first - 1)}; n = {first:,} fails."
            if first > 1
            else "The single string of n = 1 fails."
        )
    return lines


def machine(studies, language):
    """Sentences on the finite-state machine. studies: extract.studies."""
    near, far = studies
    measures = {"length": "strings of up to {} symbols", "lines": "the first {} strings"}
    measure = measures.get(language.length_means, "n up to {}")
    first, second = (measure.format(study.machine.longest) for study in studies)
    n_states = near.machine.n_states
    states = "1 state" if n_states == 1 else f"{n_states} states"
    lines = [
        f"As a finite-state machine it has {states} on {first}, which agree with the "
        f"network at {share(near.with_network)} and with the language at "
        f"{share(near.with_language)} of the steps of fresh strings; on {second} it has "
        f"{far.machine.n_states} ({share(far.with_network)}, {share(far.with_language)})."
    ]
    right = near.with_language == far.with_language == 1
    if language.numbered and right and far.machine.n_states > n_states:
        lines.append("It takes a state per count, so the number grows with n.")
    if near.differs is None:
        text = "The smaller machine is right on every string tried"
        # of all machines for a language, one with the fewest states is unique (Nerode 1958)
        if n_states == len(language.state_names) and near.with_language == 1:
            text += ", and with as many states as the graph of the grammar it is that graph"
        return [*lines, f"{text}."]
    after = "one symbol" if near.differs_at == 1 else f"{near.differs_at} symbols"
    return [*lines, f"The smaller machine is first wrong on {near.differs}, after {after}."]


def share(value):
    """A share in per cent; 100 % only if it is all."""
    return f"{min(100 * value, 99.99 if value < 1 else 100):.4g} %"
