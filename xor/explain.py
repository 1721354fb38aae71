"""A network in words and numbers: dividing lines as equations, every activation, what is wrong."""

import torch

from xor.model import losses, points_right


def linear_form(coefficients, names, constant):
    """A sum as people write it: linear_form([1, -1], ["h1", "h2"], -0.5) -> "h1 - h2 - 0.5".

    Terms whose coefficient rounds to nothing are left out; four significant digits.
    """
    text = ""
    for value, name in [*zip(coefficients, names, strict=True), (constant, "")]:
        digits = f"{abs(value):.4g}"
        if float(digits) < 5e-5:
            continue
        term = name if name and digits == "1" else f"{digits} {name}".strip()
        sign = "-" if value < 0 else "+"
        text += f" {sign} {term}" if text else sign.strip("+") + term
    return text or "0"


def conditions(network):
    """When each unit of a single network is on (a step fires, a sigmoid exceeds 1/2): one text per
    hidden unit, such as "x + y - 0.5 >= 0" (a spare unit, whose weights are 0, has no line:
    everywhere or nowhere), and that of the output."""
    hidden, weights = [], network.hid_weight[0].tolist()
    for weight, bias in zip(weights, network.hid_bias[0].tolist(), strict=True):
        spare = " (everywhere)" if bias >= 0 else " (nowhere)"
        hidden.append(linear_form(weight, "xy", bias) + " >= 0" + spare * (not any(weight)))
    names = [f"h{k + 1}" for k in range(network.n_hidden)]
    output = linear_form(network.out_weight[0].tolist(), names, network.out_bias.item())
    return hidden, output + " >= 0"


@torch.no_grad()
def activations(network, inputs, targets):
    """Rows X Y T h1..hH output of a single network, one dict per point of inputs (N, 2)."""
    names = ["X", "Y", "T", *(f"h{k + 1}" for k in range(network.n_hidden)), "output"]
    output = network(inputs)[0]  # (N,)
    table = torch.column_stack((inputs, targets, network.hidden[0], output))  # (N, H + 4)
    rows = ([*map(int, row[:3]), *row[3:]] for row in table.tolist())
    return [dict(zip(names, row, strict=True)) for row in rows]


def activation_table(rows, act):
    """The rows of `activations` as lines of text; steps are whole numbers, sigmoids get three
    decimals, and a point on the wrong side is marked."""
    width, decimals = (3, 0) if act == "step" else (6, 3)
    formats = {name: (max(width, len(name)) + 1, decimals) for name in rows[0]}
    formats |= dict.fromkeys("XYT", (3, 0))
    lines = ["".join(f"{name:>{w}}" for name, (w, _) in formats.items())]
    for row in rows:
        line = "".join(f"{row[name]:>{w}.{d}f}" for name, (w, d) in formats.items())
        wrong = (row["output"] >= 0.5) != (row["T"] == 1)
        lines.append(line + "  wrong" * wrong)
    return lines


@torch.no_grad()
def score(model, inputs, targets):
    """Loss (S,), mean binary cross-entropy in nats (NaN for steps, whose output is no probability),
    accuracy (S,) in percent, and which points are wrong (S, N)."""
    logits = model.logits(inputs)  # (S, N)
    right, loss = points_right(logits, targets), losses(logits, targets)
    if model.act == "step":
        loss = torch.full_like(loss, torch.nan)
    return loss, 100 * right.float().mean(1), ~right


def idle_units(network, inputs):
    """Hidden units of a single network (numbers from 1) whose line has all points on one side."""
    network.logits(inputs)
    on = network.hidden[0] >= 0.5  # (N, H)
    return ((on == on[0]).all(0).nonzero()[:, 0] + 1).tolist()
