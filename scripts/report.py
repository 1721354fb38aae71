"""Run the standard experiments and write the report: every question of the source report, answered
from measurement, our figures beside its own.

    python scripts/report.py                 # under 30 minutes on two cores
    python scripts/report.py --quick         # fewer networks, under 3 minutes, in results/quick
    python scripts/report.py --only xor      # one part; the others keep what was measured before
    python scripts/report.py --only beyond   # long trainings, not in the first; so are languages,
                                             # tuned and coursework
    python scripts/report.py --text_only --html    # report.html from what was measured before

Each experiment is one of this project's command lines, run as a user would; its summary.json and
the figures the report shows are copied to results/reference/<part>/<experiment>/. report.md and the
README's tables are written from what lies there, notes.md included.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # however Python was started

from common.options import Parser, add_flag, run

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "results" / "reference"
PART_NAMES = ("kuzu", "tuned", "xor", "anbn", "languages", "beyond", "coursework", "speed")


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    parser.add_argument("--only", choices=PART_NAMES, help="measure this part alone")
    parser.add_argument("--quick", action="store_true", help="fewer networks, results/quick")
    text = "real characters for Part 1 (default: see kuzu_main.py) and tuned, which needs them"
    parser.add_argument("--data_dir", metavar="DIR", help=text)
    text = "where to write (default: results/reference, or results/quick)"
    parser.add_argument("--out", metavar="DIR", help=text)
    text = "write report.html too: one page with the figures in it (needs the package markdown)"
    add_flag(parser, "--html", text)
    parser.add_argument("--text_only", action="store_true", help="measure nothing, write the text")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    from importlib import import_module

    from common.run_folder import check_writable, write_whole
    from reporting.html import page
    from reporting.measured import Measured, replace_between_markers

    sections = {part: import_module(f"reporting.{part}") for part in PART_NAMES}
    out = Path(args.out or (ROOT / "results" / "quick" if args.quick else REFERENCE)).expanduser()
    check_writable(out / "report.md")
    measured = {part: Measured(out, part, args.quick, args.data_dir) for part in PART_NAMES}
    start = time.perf_counter()
    # Half an hour is not enough for everything, a quick look (a few languages) is no benchmark.
    usual = ["kuzu", "xor", "anbn", "languages" if args.quick else "speed"]
    for part in [args.only] if args.only else usual:
        if not args.text_only:
            sections[part].measure(measured[part])
    texts = [(Path(__file__).parent / "reporting" / "report.md").read_text(encoding="utf-8")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for part, section in sections.items():
        if any(measured[part].folder.rglob("*.json")):  # not its notes alone
            texts.append(section.text(measured[part]))
            if hasattr(section, "readme") and out.resolve() == REFERENCE:
                readme = replace_between_markers(readme, part, section.readme(measured[part]))
    report = "\n".join(texts).rstrip() + "\n"
    write_whole(out / "report.md", report)
    if args.html:
        write_whole(out / "report.html", page(report, out))
    if out.resolve() == REFERENCE:
        write_whole(ROOT / "README.md", readme)
    print(f"{out / 'report.md'} written after {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    run(main)
