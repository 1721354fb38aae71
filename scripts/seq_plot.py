"""Say how good a recurrent network is and how it does what it does; trace it and draw it.

    python scripts/seq_plot.py --lang anbncn --model lstm     # the newest such run under results/
    python scripts/seq_plot.py --run results/seq/anbn_srn2__s0__20260101-120000
    python scripts/seq_plot.py --checkpoint net/anbn_srn2_50.pth
    python scripts/seq_plot.py --run net --lang reber --epoch 50       # coursework checkpoints

Reads fresh strings and saves, in a run folder of its own, the trajectories in hidden space, the
units, gates and predictions over time, the machine the network implements, and trace.csv.
"""

import json
import sys
from pathlib import Path

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from common.network_options import add_network_options, evaluated, given, save_trace, trace_of
from common.options import BadInput, Parser, add_flag, number, run


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    add_network_options(parser)
    group = parser.add_argument_group("which network")
    group.add_argument(
        "--run", metavar="DIR", help="a run folder of seq_train.py, or another folder of checkpoints"
    )
    group.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="a checkpoint of ours, or the state dict of a single SRN or LSTM; its language is in "
        "its name, {lang}_{model}{hid}_{epoch}.pth, or given with --lang",
    )
    group.add_argument(
        "--epoch",
        type=number(float, 0),
        help="the checkpoint nearest to so many thousand sequences (default: the last)",
    )
    group.add_argument(
        "--network", type=number(int, 1), help="its number in the run (default: the best)"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--num_plot", type=number(int, 1), default=10, help="strings traced")
    group.add_argument(
        "--seed", type=number(int, 0, most=2**63 - 1), default=0, help="seed of the strings"
    )
    group.add_argument(
        "--out",
        "--out_path",
        dest="out",
        metavar="DIR",
        default="results",
        help="runs are looked for in here, and a folder for the figures is made",
    )
    add_flag(group, "--quiet", "do not print the traced strings")
    return parser.parse_args(argv)


def find_checkpoint(args):
    """(file, notes) that the options name. Raises BadInput or CheckpointError if there is none."""
    from anbn.checkpoint import Hints, newest

    if args.checkpoint:
        if args.run:
            raise BadInput("give --run or --checkpoint, not both")
        if args.epoch is not None:
            raise BadInput("--epoch chooses a checkpoint of a run, --checkpoint is one already")
        return Path(args.checkpoint), []
    folder = Path(args.run) if args.run else newest_run(args)
    if not folder.is_dir():
        raise BadInput(f"there is no run folder {folder}")
    return newest(folder, args.epoch, Hints(**given(args)))


def newest_run(args):
    """The newest run of seq_train.py under --out that agrees with the options given; or --out
    itself, if checkpoints lie in it."""
    from anbn.catalogue import named

    if args.lang:
        named(args.lang, args.embed, args.length)  # a name that is none is told at once
    wanted = given(args)
    if args.lang and args.embed is None:
        wanted["embed"] = False
    runs = [path.parent for path in Path(args.out).glob("seq/*/summary.json")]
    for folder in sorted(runs, key=lambda path: path.name.split("__")[-1], reverse=True):
        try:
            summary = json.loads((folder / "summary.json").read_text())
            names = zip(("lang", "embed", "length", "model", "hid"), KEYS, strict=True)
            found = {name: summary[key] for name, key in names}
            if "networks" in summary and wanted.items() <= found.items():
                return folder
        except (ValueError, KeyError, TypeError, OSError):
            continue
    if any(Path(args.out).glob("*.pth")):
        return Path(args.out)
    raise BadInput(
        f"no finished run under {args.out} is what you ask for; train one with seq_train.py, or "
        "give --run, --checkpoint or --out"
    )
