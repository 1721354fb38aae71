"""Run the standard experiments and write the report: every question of the source report, answered
from measurement, our figures beside its own.

    python scripts/report.py                 # under 30 minutes on two cores
    python scripts/report.py --quick         # fewer networks, under 3 minutes, in results/quick
    python scripts/report.py --only xor      # one part; the others keep what was measured before
    python scripts/report.py --only beyond   # long trainings, in no other run; so is tuned

Each experiment is one of this project's command lines, run as a user would; its summary.json and
the figures the report shows are copied to results/reference/<part>/<experiment>/. report.md and the
README's tables are written from these files alone.
"""

import sys
import time
from pathlib import Path

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from common.options import Parser, run
from common.run_folder import check_writable, write_whole
from reporting.measured import ROOT, Measured, replace_between_markers

REFERENCE = ROOT / "results" / "reference"
PART_NAMES = ("kuzu", "tuned", "xor", "anbn", "beyond", "speed")


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    parser.add_argument("--only", choices=PART_NAMES, help="measure this part alone")
    parser.add_argument("--quick", action="store_true", help="fewer networks, results/quick")
    parser.add_argument(
        "--data_dir", default="data", help="real characters for Part 1, if they lie there"
    )
    parser.add_argument("--out", metavar="DIR", help="where to write (default: results/reference)")
    parser.add_argument("--text_only", action="store_true", help="measure nothing, write the text")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    from importlib import import_module

    sections = {part: import_module(f"reporting.{part}") for part in PART_NAMES}
    out = Path(args.out or (ROOT / "results" / "quick" if args.quick else REFERENCE)).expanduser()
    check_writable(out / "report.md")
    start = time.perf_counter()
    # Half an hour is not enough for everything, a quick look is not a benchmark.
    left_out = ("tuned", "beyond", "speed") if args.quick else ("tuned", "beyond")
    everything = [part for part in PART_NAMES if part not in left_out]
    for part in [args.only] if args.only else everything:
        if not args.text_only:
            sections[part].measure(Measured(out, part, args.quick), args.data_dir)
    texts = ["# Report\n\n" + INTRODUCTION]
    fragments = {}
    for part, section in sections.items():
        measured = Measured(out, part, args.quick)
        if measured.folder.exists():
            texts.append(section.text(measured))
            if hasattr(section, "readme"):
                fragments[part] = section.readme(measured)
    write_whole(out / "report.md", "\n".join(texts).rstrip() + "\n")
    if out.resolve() == REFERENCE:
        readme = ROOT / "README.md"
        content = readme.read_text(encoding="utf-8")
        for part, fragment in fragments.items():
            content = replace_between_markers(content, part, fragment)
        write_whole(readme, content)
    print(f"{out / 'report.md'} written after {time.perf_counter() - start:.0f} s")


INTRODUCTION = """Written by `python scripts/report.py` from the files beside it: every figure was
measured by the command named with it; what was not is marked as notes. "Source" is the coursework
report these experiments come from. Success rates carry 95 % Wilson intervals. Times are wall-clock
seconds of the whole command, start-up and figures included, with another experiment of Part 2 or 3
running beside it.

The questions of the source report and where they are answered:

| question | section |
| --- | --- |
| accuracy, confusion matrix, parameters of NetLin, NetFull, NetConv | Part 1 |
| how the three compare, and why | Part 1, accuracy and parameters |
| which characters are confused most, and what they look like | Part 1, mixed up most |
| final weights and hidden units of a trained perceptron | Part 2, final weights |
| a step network by hand: diagram, dividing lines, activations | Part 2, the hand-set network |
| the same weights scaled for sigmoid units, and trained on | Part 2, scaled by 10 |
| the hidden-unit plot of an SRN on a^n b^n with its states | Part 3, SRN with two hidden units |
| the equivalent finite-state machine | Part 3, the equivalent machine |
| how the network keeps count and predicts | Part 3, how the network keeps count |
| the same for a^n b^n c^n | Part 3, SRN with three hidden units |
| hidden units and cells of an LSTM on a^n b^2n c^3n | Part 3, LSTM with three hidden units |
| how its gates behave in each stage | Part 3, how the gates behave |
"""


if __name__ == "__main__":
    run(main)
