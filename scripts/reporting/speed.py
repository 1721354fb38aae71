"""The report's last part: how fast, against plain loops, and how the cost grows."""

import json
import shlex

from anbn.recipes import MAX_ROTATED
from reporting.measured import execute, table


def measure(measured, data_dir):
    measured.folder.mkdir(parents=True, exist_ok=True)
    rounds = 1 if measured.quick else 3
    for name, command in (
        ("bench", "bench.py"),
        ("growth", f"bench.py growth --figure {shlex.quote(str(measured.folder / 'growth.png'))}"),
    ):
        if name == "bench" or not measured.quick:
            file = shlex.quote(str(measured.folder / f"{name}.json"))
            execute(f"{command} --rounds {rounds} --json {file}")


def text(measured):
    found = json.loads((measured.folder / "bench.json").read_text())
    return f"""## Speed

`python scripts/bench.py` on {found["hardware"]}, {found["date"]}, torch {found["torch"]}: each line
against a plain loop kept in `scripts/benchmarks/`, measured in turn, medians of three rounds,
warm-up excluded. One thread, but for NetConv. Of the peak: the part of the operations
per second that a large matrix product reaches with as many threads.

{ratios(found)}
From typing a command to its first printed line and to its end, figures included:

{startup(found)}
{growth(measured)}
{PROCESSES}
{DEPENDENCIES}"""


PROCESSES = """### Several processes, several machines

Where there are networks for more than one group, a script starts itself in as many processes as
there are cores (`--processes`); torchrun does it on several machines, the same line on each, with
the first one's address:

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29400 \\
        --rdzv-id 1 scripts/seq_train.py --lang anbncn --model lstm --seeds 256

Networks are trained in groups of one fixed size, each on one thread, so that a network is the same
wherever its group is trained, on one kind of processor bit for bit. If a process is lost, the run
ends and every other keeps the networks it has trained (`process3_model.pt`, each of which
`--resume` takes).
"""

DEPENDENCIES = """### Dependencies

| package | what for |
|---|---|
| torch, numpy | networks and tensors |
| torchvision | KMNIST: download, checksums |
| matplotlib | figures |
| matplotlib-fontja (may be missing) | kana in figures, else romaji |
| tqdm (may be missing) | progress bars |
| pytest, hypothesis, networkx, ruff (tests only) | tests, random input, graphs, style |
"""


def ratios(found):
    rows = [
        [
            row["name"],
            f"{rate(row['ratio'])} x",
            f"{rate(row['ours_per_s'])} {row['unit']}/s",
            f"{rate(row['baseline_per_s'])}/s",
            f"{row['share']:.0%}" if "share" in row else "",
        ]
        for part in ("kuzu", "xor", "anbn")
        for row in found[part]
    ]
    return table(["measured", "faster by", "ours", "plain loop", "of the peak"], rows)


def startup(found):
    rows = [
        [f"`{row['name']}`", f"{row['first_line_s']:.1f} s", f"{row['last_line_s']:.1f} s"]
        for row in found["startup"]
    ]
    return table(["command", "first line", "end"], rows)


def rate(value):
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def growth(measured):
    file = measured.folder / "growth.json"
    if not file.exists():
        return ""
    found = json.loads(file.read_text())
    seconds = {(r["network"], r["grows"], r["value"]): r["seconds"] for r in found["growth"]}
    rows = [
        [what, f"{value:,}", f"{seconds['srn', what, value]:.3g} s", f"{lstm:.3g} s"]
        for (kind, what, value), lstm in seconds.items()
        if kind == "lstm"
    ]
    return f"""### How the cost of training grows

`python scripts/bench.py growth` on {found["hardware"]}: seconds for 1,000 sequences of a^n b^n of
every network, with 64 networks, n up to 8 and 3 hidden units where they do not grow.
Beyond {MAX_ROTATED} parameters per network the default optimizer is plain Adam, which takes less
time per update.

{table(["what grows", "to", "SRN", "LSTM"], rows)}
![Time against networks, n and hidden units.](speed/growth.png)
"""
