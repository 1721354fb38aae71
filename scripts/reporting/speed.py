"""The report's last part: how fast, against plain loops, and how the cost grows."""

import shlex

from anbn.recipes import MAX_ROTATED
from reporting.measured import call, read_json, table


def measure(measured):
    figure = shlex.quote(str(measured.folder / "growth.png"))
    for name, command in (("bench", "bench.py"), ("growth", f"bench.py growth --figure {figure}")):
        file = shlex.quote(str(measured.folder / f"{name}.json"))
        call(f"{command} --rounds {1 if measured.quick else 3} --json {file}")


def text(measured):
    bench, growing = (read_json(measured.folder / f"{name}.json") for name in ("bench", "growth"))
    return measured.write(
        **{key: bench[key] for key in ("hardware", "date", "torch", "rounds")},
        ratios=ratios(bench),
        startup=startup(bench),
        growth=growth(growing),
        max_rotated=MAX_ROTATED,
    )


def ratios(found):
    rows = []
    for row in found["kuzu"] + found["xor"] + found["anbn"]:
        ours, plain, ratio = (rate(row[key]) for key in ("ours_per_s", "baseline_per_s", "ratio"))
        share = f"{row['share']:.0%}" if "share" in row else ""
        rows.append([row["name"], f"{ratio} x", f"{ours} {row['unit']}/s", f"{plain}/s", share])
    return table("measured | faster by | ours | plain loop | of the peak", rows)


def rate(value):
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def startup(found):
    cell = "`{name}` | {first_line_s:.1f} s | {last_line_s:.1f} s"
    return table("command | first line | end", [[cell.format(**row)] for row in found["startup"]])


def growth(found):
    seconds = {(r["network"], r["grows"], r["value"]): r["seconds"] for r in found["growth"]}
    rows = [
        [what, f"{value:,}", f"{seconds['srn', what, value]:.3g} s", f"{lstm:.3g} s"]
        for (kind, what, value), lstm in seconds.items()
        if kind == "lstm"
    ]
    return table("what grows | to | SRN | LSTM", rows)
