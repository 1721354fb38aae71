"""What came of a run: its figures as a dict, and the lines that say them."""

import math

import numpy as np
import torch

from xor.explain import activation_table, activations, conditions, idle_units, score
from xor.history import MAX_CURVES
from xor.model import units_needed

QUANTILES = {"10%": 10, "50%": 50, "90%": 90}


def choose(record, loss):
    """The network to show: of those with curves the one right soonest for good, else any other
    that is right, else that with the smallest loss (S,)."""
    since = torch.where(record.solved, record.stays_right_from, torch.iinfo(torch.long).max)
    if bool(record.solved[:MAX_CURVES].any()):
        return int(since[:MAX_CURVES].argmin())
    if bool(record.solved.any()):
        return int(since.argmin())
    return int(loss[:MAX_CURVES].nan_to_num(torch.inf).argmin())


def summary(history, recipe=None, by_hand=False):
    """All figures of a run as a dict. recipe: that of the training, None where there was none;
    by_hand: whether the weights were set by hand."""
    model, inputs, targets, last = history.model, history.inputs, history.targets, history.last
    loss, accuracy, wrong = score(model, inputs, targets)
    shown = choose(last, loss)
    size = math.isqrt(len(targets))
    how = "trained" if model.n_networks == 1 else f"{model.n_networks} trained"
    if by_hand:
        how = "weights set by hand" + " and trained on" * (last.epoch > 0)
    network = model.network(shown)
    hidden, output = conditions(network)
    epochs = [int(e[shown]) for e in (last.first_right, last.stays_right_from)]
    first, since = (epoch if epoch >= 0 and last.epoch else None for epoch in epochs)
    return {
        "size": size,
        "hidden": model.n_hidden,
        "activation": model.act,
        "set_by_hand": by_hand,
        "title": f"{size} x {size} points, {model.n_hidden} {model.act} units, {how}",
        **(_counts(last, loss, wrong) if model.n_networks > 1 else {}),
        "shown": shown,
        "seed": history.seeds[shown],
        "draw": int(last.draws[shown]),
        "epochs": last.epoch,
        "loss": loss[shown].item(),
        "accuracy": accuracy[shown].item(),
        "first_right": first,
        "stays_right_from": since,
        "wrong_points": inputs[wrong[shown]].int().tolist(),
        "weights": {name: weight[0].tolist() for name, weight in network.state_dict().items()},
        "hidden_conditions": hidden,
        "output_condition": output,
        "idle_units": idle_units(network, inputs),
        "activations": activations(network, inputs, targets),
        "recipe": vars(recipe) if recipe else None,
    }


def _counts(record, loss, wrong):
    """How many of many networks solved it, when, and what holds the others up."""
    solved, n_wrong = record.solved, wrong.sum(1)  # (S,)
    n_solved, n = int(solved.sum()), len(solved)
    content = {"networks": n, "solved": n_solved, "solved_interval_95": wilson(n_solved, n)}
    if record.epoch:
        first, since = record.first_right, record.stays_right_from
        content["restarted"] = int((record.draws > 1).sum())
        content["epochs_first_right"] = quantiles(first[solved])
        content["epochs_stays_right"] = quantiles(since[solved])
        content["lost_in_between"] = int((solved & (since > first)).sum())
        content["lost_for_good"] = int((~solved & (first >= 0)).sum())
    content["stuck"] = []
    for k in n_wrong[~solved].unique().tolist():
        alike = loss[n_wrong == k]
        group = {"networks": len(alike), "points_wrong": k, "mean_loss": alike.mean().item()}
        content["stuck"].append(group)
    return content


def quantiles(values):
    """For each level the smallest value that at least this share of the values (whole numbers) does
    not exceed; None where there are no values."""
    if not len(values):
        return None
    found = np.percentile(values, list(QUANTILES.values()), method="inverted_cdf")
    return dict(zip(QUANTILES, map(int, found), strict=True))


def wilson(successes, trials, z=1.959964):
    """The 95 % interval of a success rate (Wilson 1927): [low, high], within 0..1."""
    rate, shrink = successes / trials, z * z / trials
    centre = (rate + shrink / 2) / (1 + shrink)
    spread = z / (1 + shrink) * math.sqrt((rate * (1 - rate) + shrink / 4) / trials)
    return [max(0.0, centre - spread), min(1.0, centre + spread)]


def result_lines(summary):
    """The lines that say what a summary holds."""
    lines = _count_lines(summary) if "networks" in summary else []
    lines.append("Final Weights:")
    for values in summary["weights"].values():
        lines += str(torch.tensor(values)).splitlines()
    lines += [f"Final Accuracy: {summary['accuracy']:.1f}", ""]
    on = "fires" if summary["activation"] == "step" else "is above 1/2"
    lines.append(f"Each hidden unit {on} on one side of its dividing line:")
    lines += [f"  h{k}: {text}" for k, text in enumerate(summary["hidden_conditions"], 1)]
    lines += [f"The output {on} where", f"  {summary['output_condition']}", ""]
    lines += [*activation_table(summary["activations"], summary["activation"]), ""]
    return lines + _verdict(summary)


def _count_lines(summary):
    n, solved, (low, high) = (summary[k] for k in ("networks", "solved", "solved_interval_95"))
    interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    lines = ["", f"Solved: {solved} of {n} networks ({100 * solved / n:.1f} %, {interval})"]
    if summary.get("restarted"):
        lines.append(f"Drawn anew: {summary['restarted']} networks, all their epochs counted")
    if summary.get("epochs_first_right"):
        for name, words in (
            ("epochs_first_right", "First epoch with every point right"),
            ("epochs_stays_right", "Every point right from this epoch on"),
        ):
            levels = ", ".join(f"{level} {epoch}" for level, epoch in summary[name].items())
            lines.append(f"{words}, quantiles of the solved: {levels}")
        lines.append(
            f"Lost in between: {summary['lost_in_between']} of the {solved} solved; "
            f"{summary['lost_for_good']} of the others were right once"
        )
    for group in summary["stuck"]:
        points = f"{group['points_wrong']} point{'s' * (group['points_wrong'] > 1)}"
        loss = f"mean loss {group['mean_loss']:.4f}"
        lines.append(f"Not solved: {group['networks']} with {points} wrong, {loss}")
    return [*lines, "", f"The network shown: seed {summary['seed']}"]


def _verdict(summary):
    """Whether the network shown is right, since when, and what to try if it is not."""
    first, since = summary["first_right"], summary["stays_right_from"]
    if not summary["wrong_points"]:
        if since is None:
            return []  # not trained: Final Accuracy says it
        lost = "" if first == since else f" First right at epoch {first}, but lost in between."
        drawn = f" in draw {summary['draw']}" * (summary["draw"] > 1)
        return [f"Solved{drawn}: every point right from epoch {since} on.{lost}"]
    text = "Not solved" + f" after {summary['epochs']} epochs" * (summary["epochs"] > 0)
    text += f": wrong at {_some([f'({x}, {y})' for x, y in summary['wrong_points']])}"
    if summary["activation"] == "sig":
        text += f", loss {summary['loss']:.4f}"
    if first is not None:
        text += f" (all were right at epoch {first})"
    if idle := summary["idle_units"]:
        text += f"; all points on one side of {_some([f'h{k}' for k in idle])}"
    restarts = 2 * summary["recipe"]["restarts"] if summary["recipe"] else 0
    advice = f"Try --restarts {max(5, restarts)}, --seeds 100 or another --seed."
    needed = units_needed(summary["size"])
    if summary["hidden"] < needed:
        advice = f"{needed} hidden units are known to be enough; try --hid {needed}."
    if summary["set_by_hand"]:
        advice = "Try a larger --scale, or --epoch with a smaller --lr."
    return [f"{text}. {advice}"]


def _some(names, most=12):
    """The names as a list in words, cut short where it is long."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
