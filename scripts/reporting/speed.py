"""The report's last part: how fast, against plain loops, and how the cost grows."""

import json
import shlex

from anbn.recipes import LARGEST_ROTATED
from reporting.measured import execute, table


def measure(measured, data_dir):
    measured.folder.mkdir(parents=True, exist_ok=True)
    rounds = 1 if measured.quick else 3
    file = shlex.quote(str(measured.folder / "bench.json"))
    execute(f"bench.py --rounds {rounds} --json {file}")
    if not measured.quick:
        growth, figure = (
            shlex.quote(str(measured.folder / f"growth.{e}")) for e in ("json", "png")
        )
        execute(f"bench.py growth --rounds {rounds} --json {growth} --figure {figure}")


def text(measured):
    return f"""## Speed

`python scripts/bench.py`: each line against a plain loop kept in the same file, measured in turn,
medians of several rounds, warm-up excluded.

{ratios(measured)}
{growth(measured)}"""


def readme(measured):
    return ratios(measured)


def ratios(measured):
    found = json.loads((measured.folder / "bench.json").read_text())
    rows = [
        [row["name"], f"{rate(row['ratio'])} x", f"{ours} against {plain} {row['unit']}/s"]
        for part in ("kuzu", "xor", "anbn")
        for row in found[part]
        for ours, plain in [(rate(row["ours_per_s"]), rate(row["baseline_per_s"]))]
    ]
    heading = f"On {found['hardware']} (one thread but for NetConv), torch {found['torch']}:\n\n"
    return heading + table(["measured", "faster by", "rates"], rows)


def rate(value):
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def growth(measured):
    file = measured.folder / "growth.json"
    if not file.exists():
        return ""
    found = json.loads(file.read_text())
    seconds = {(r["network"], r["grows"], r["value"]): r["seconds"] for r in found["rows"]}
    rows = [
        [what, f"{value:,}", f"{seconds['srn', what, value]:.3g} s", f"{lstm:.3g} s"]
        for (kind, what, value), lstm in seconds.items()
        if kind == "lstm"
    ]
    return f"""### How the cost of training grows

`python scripts/bench.py growth` on {found["hardware"]}: seconds for 1,000 sequences of a^n b^n of
every network, with 64 networks, n up to 8 and 3 hidden units where they do not grow.
Beyond {LARGEST_ROTATED} parameters per network (LSTM-8, SRN-16) the default optimizer is plain
Adam, which takes less time per update.

{table(["what grows", "to", "SRN", "LSTM"], rows)}
![Time against networks, n and hidden units.](speed/growth.png)
"""
