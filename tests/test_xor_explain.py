"""The words against the numbers."""

from xor.explain import activation_table, activations, conditions, idle_units, linear_form, score
from xor.model import hand_set, random_networks
from xor.tasks import grid


def test_linear_form():
    assert linear_form([1, 1], "xy", -0.5) == "x + y - 0.5"
    assert linear_form([-1, 2.5], "xy", 0) == "-x + 2.5 y"
    assert linear_form([0, -3.14159], "xy", 1) == "-3.142 y + 1"
    assert linear_form([0, 0], "xy", 0) == "0"


def test_conditions_agree_with_the_activations():
    network = random_networks([2], 3, 3)
    inputs, targets = grid(3)
    hidden, output = conditions(network)
    for row in activations(network, inputs, targets):
        for k, condition in enumerate(hidden):
            value = evaluated(condition, {"x": row["X"], "y": row["Y"]})
            assert abs(value) < 2e-2 or (value >= 0) == (row[f"h{k + 1}"] >= 0.5)
        value = evaluated(output, {name: row[name] for name in ("h1", "h2", "h3")})
        assert abs(value) < 2e-2 or (value >= 0) == (row["output"] >= 0.5)


def evaluated(condition, values):
    """The left-hand side of "2.5 x - y + 1 >= 0"."""
    left = condition.removesuffix(" >= 0").replace("- ", "-1 ").replace("+ ", "+1 ")
    left = left.replace("-", " -1 ", 1) if left.startswith("-") and left[1:2].isalpha() else left
    total, term = 0.0, None
    for word in left.split():
        if word in ("+1", "-1"):
            total, term = total + (term or 0.0), float(word)
        else:
            term = (1.0 if term is None else term) * (
                values[word] if word in values else float(word)
            )
    return total + term


def test_spare_units_have_no_line():
    network, (inputs, targets) = hand_set(3, n_hidden=5), grid(3)
    assert conditions(network)[0][4] == "0 >= 0 (everywhere)"
    assert idle_units(network, inputs) == [5] and idle_units(network, inputs[:1]) == [1, 2, 3, 4, 5]
    loss, accuracy, wrong = score(network, inputs, targets)
    assert loss.isnan().all() and accuracy.item() == 100 and not wrong.any()


def test_the_table_marks_wrong_points():
    inputs, targets = grid(2)
    rows = activations(hand_set(2), inputs, targets)
    assert activation_table(rows, "step") == [
        "  X  Y  T  h1  h2 output",
        "  0  0  0   0   0      0",
        "  0  1  1   1   0      1",
        "  1  0  1   1   0      1",
        "  1  1  0   1   1      0",
    ]
    rows = activations(hand_set(2), inputs, 1 - targets)
    assert all(line.endswith("  wrong") for line in activation_table(rows, "step")[1:])
