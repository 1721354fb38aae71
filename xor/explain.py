"""A network in words and numbers: dividing lines as equations, every activation, what is wrong."""

import torch
from torch.nn.functional import binary_cross_entropy_with_logits


def linear_form(coefficients, names, constant):
    """A sum as people write it: linear_form([1, -1], ["h1", "h2"], -0.5) -> "h1 - h2 - 0.5".

    Terms whose coefficient rounds to nothing are left out; four significant digits.
    """
    terms = []
    for value, name in [*zip(coefficients, names, strict=True), (constant, "")]:
        digits = f"{abs(value):.4g}"
        if float(digits) < 5e-5:
            continue
        size = " ".join(part for part in ("" if name and digits == "1" else digits, name) if part)
        sign = "-" if value < 0 else "+"
        terms.append(f"{sign} {size}" if terms else f"-{size}" if value < 0 else size)
    return " ".join(terms) or "0"


def conditions(network):
    """When each unit of a single network is on (a step fires, a sigmoid exceeds 1/2).

    Returns one text per hidden unit, such as "x + y - 0.5 >= 0" (a spare
    unit, whose weights are 0, has no line: everywhere or nowhere), and that of the output.
    """
    weight, bias = network.hid_weight[0].tolist(), network.hid_bias[0].tolist()
    hidden = [linear_form(w, "xy", b) + " >= 0" for w, b in zip(weight, bias, strict=True)]
    for k, pair in enumerate(weight):
        if not any(pair):
            hidden[k] += " (everywhere)" if bias[k] >= 0 else " (nowhere)"
    names = [f"h{k + 1}" for k in range(network.n_hidden)]
    output = linear_form(network.out_weight[0].tolist(), names, network.out_bias.item())
    return hidden, output + " >= 0"


@torch.no_grad()
def activations(network, inputs, targets):
    """Rows X Y T h1..hH output of a single network, one dict per point of inputs (N, 2)."""
    outputs = network(inputs)[0].tolist()
    hidden = network.hidden[0].tolist()
    rows = []
    points = zip(inputs.tolist(), targets.tolist(), hidden, outputs, strict=True)
    for (x, y), target, h, output in points:
        row = {"X": int(x), "Y": int(y), "T": int(target)}
        row |= {f"h{k + 1}": value for k, value in enumerate(h)}
        rows.append(row | {"output": output})
    return rows


def activation_table(rows, act):
    """The rows of `activations` as lines of text; steps are whole numbers, sigmoids get three
    decimals, and a point on the wrong side is marked."""
    columns = list(rows[0])
    width = 3 if act == "step" else 6
    widths = [3 if name in "XYT" else max(width, len(name)) + 1 for name in columns]
    lines = ["".join(f"{name:>{w}}" for name, w in zip(columns, widths, strict=True))]
    for row in rows:
        cells = []
        for name, w in zip(columns, widths, strict=True):
            whole = act == "step" or name in "XYT"
            cells.append(f"{row[name]:>{w}.0f}" if whole else f"{row[name]:>{w}.3f}")
        wrong = (row["output"] >= 0.5) != (row["T"] == 1)
        lines.append("".join(cells) + ("  wrong" if wrong else ""))
    return lines


@torch.no_grad()
def score(model, inputs, targets):
    """Loss (S,), mean binary cross-entropy in nats (NaN for steps, whose output is no probability),
    accuracy (S,) in percent, and which points are wrong (S, N)."""
    logits = model.logits(inputs)  # (S, N)
    wrong = (logits >= 0) != (targets > 0.5)
    wanted = targets.expand_as(logits)
    loss = binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)
    if model.act == "step":
        loss = torch.full_like(loss, torch.nan)
    return loss, 100 * (~wrong).float().mean(1), wrong


def idle_units(network, inputs):
    """Hidden units of a single network (numbers from 1) whose line has all points on one side."""
    network.logits(inputs)
    on = network.hidden[0] >= 0.5  # (N, H)
    return [k + 1 for k in range(network.n_hidden) if bool(on[:, k].all() or not on[:, k].any())]
