"""How fast? kuzu, xor and anbn in turn with plain loops, which are kept in scripts/benchmarks/.

    python scripts/bench.py                       # kuzu, xor, anbn and startup; about 4 minutes
    python scripts/bench.py growth                # how the cost grows; about 3 minutes
    python scripts/bench.py coursework            # how often its recipes succeed; under 10 minutes
    python scripts/bench.py --against ../older    # the same commands in another checkout, in turn

Every time is a median over several rounds in which baseline and ours alternate, so that a machine
whose speed drifts slows both; warm-up is excluded. Success rates of coursework: one round.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # however Python was started

from common.options import BadInput, Parser, number, run

PARTS = ("kuzu", "xor", "anbn", "startup", "growth", "coursework")
DEFAULT = PARTS[:4]


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    # Some Pythons check an empty list against the choices as if it were one of them.
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART")
    parser.add_argument("--rounds", type=number(int, 1), default=3, help="counted rounds")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--figure", metavar="FILE", help="of growth: also draw it, as PNG")
    parser.add_argument("--against", metavar="DIR", help="measure against another checkout")
    args = parser.parse_args(argv)
    if args.against and not (Path(args.against) / "scripts" / "seq_train.py").is_file():
        parser.error(f"--against {args.against} is no checkout of this project")
    if args.against and args.parts:
        parser.error(f"--against compares whole commands, no parts: leave out {args.parts[0]}")
    args.parts = ["against"] if args.against else args.parts or list(DEFAULT)
    return args


def measure(part, args):
    """The rows of a part, one by one."""
    if part == "startup":
        return import_module("benchmarks.commands").startup(args.rounds)
    if part == "against":
        return import_module("benchmarks.commands").against(args.against, args.rounds)
    return import_module(f"benchmarks.{part}").rows(args.rounds)


def line(row):
    """A row as text: what was measured, ours, the baseline, their ratio, the share of the limit."""
    if "first_line_s" in row:
        cells = f"first line {row['first_line_s']:.2f} s", f"last {row['last_line_s']:.2f} s", ""
    elif "grows" in row:
        cells = f"{row['seconds']:.3f} s", "", ""
    elif "solved" in row:
        epochs = " / ".join(f"{n:,}" for n in row.get("epochs") or ())
        cells = f"{row['solved']} of {row['networks']} solve it", epochs, f"{row['seconds']:.0f} s"
    elif "ours_s" in row:
        cells = f"{row['ours_s']:.2f} s", f"{row['baseline_s']:.2f} s", f"{row['ratio']:.2f} x"
    else:
        ours, baseline = (f"{row[key]:,.0f}/s" for key in ("ours_per_s", "baseline_per_s"))
        cells = f"{ours} {row['unit']}", baseline, f"{row['ratio']:.4g} x"
    share = f"{row['share']:.1%}" if "share" in row else ""
    return f"{row['name']:58s} {cells[0]:>28s} {cells[1]:>16s} {cells[2]:>9s} {share:>7s}".rstrip()


def main(argv=None):
    args = parse_args(argv)
    import json
    import time

    import torch

    from common.run_folder import check_writable, describe, write_whole

    for file in filter(None, (args.json, args.figure)):
        check_writable(file)
    if args.figure and "growth" not in args.parts:
        raise BadInput("--figure draws growth: python scripts/bench.py growth --figure FILE")
    threads, hardware = torch.get_num_threads(), describe(torch.device("cpu"))
    print(f"{hardware}; torch {torch.__version__}; medians of {args.rounds} rounds")
    print(f"{'measured':58s} {'ours':>28s} {'baseline':>16s} {'ratio':>9s} {'of peak':>7s}")
    results = {"hardware": hardware, "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    results["rounds"] = args.rounds
    for part in args.parts:
        torch.set_num_threads(threads if part == "kuzu" else 1)
        if part == "coursework":
            results["settings"] = import_module("benchmarks.coursework").SETTINGS
            print(results["settings"])
        results[part] = []
        for row in measure(part, args):
            results[part].append(row)
            print(line(row), flush=True)
    if args.json:
        write_whole(args.json, json.dumps(results, indent=2) + "\n")
    if args.figure:
        from benchmarks.growth import draw

        write_whole(args.figure, draw(results["growth"], hardware))


if __name__ == "__main__":
    run(main)
