"""Trace and draw a trained recurrent network, and say how it does what it does.

    python scripts/seq_plot.py --lang anbncn --model lstm     # the newest such run under results/
    python scripts/seq_plot.py --run results/seq/anbn_srn2__s0__20260101-120000
    python scripts/seq_plot.py --checkpoint net/anbn_srn2_50.pth

Reads fresh strings and saves, in a run folder of its own, the trajectories in hidden space, the
units, gates and predictions over time, the machine the network implements, and trace.csv.
"""

import json
import sys
from pathlib import Path

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from seq_analysis import analyse
from sequences import (
    add_network_options,
    build_language,
    full_name,
    in_words,
    judge,
    newest_checkpoint,
    one_thread,
    save_trace,
    trace_of,
    unpack,
)

from common.options import BadInput, Parser, add_flag, number, run


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    add_network_options(parser)
    group = parser.add_argument_group("which network")
    group.add_argument("--run", metavar="DIR", help="a run folder of seq_train.py")
    group.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="a checkpoint of ours, or the state dict of a single SRN or LSTM; its language is in "
        "its name, {lang}_{model}{hid}_{epoch}.pth, or given with --lang",
    )
    group.add_argument(
        "--epoch",
        type=number(float, above=0),
        help="the checkpoint after so many thousand sequences (default: the last)",
    )
    group.add_argument(
        "--network", type=number(int, 1), help="its number in the run (default: the best)"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--num_plot", type=number(int, 1), default=10, help="strings traced")
    group.add_argument("--seed", type=number(int, 0), default=0, help="seed of the strings")
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
    """The file that the options name. Raises BadInput if there is none."""
    if args.run and args.checkpoint:
        raise BadInput("give --run or --checkpoint, not both")
    if args.checkpoint:
        if args.epoch is not None:
            raise BadInput("--epoch chooses a checkpoint of a run, --checkpoint is one already")
        return Path(args.checkpoint)
    folder = Path(args.run) if args.run else newest_run(args)
    if not folder.is_dir():
        raise BadInput(f"there is no run folder {folder}")
    return newest_checkpoint(folder, args.epoch)


def newest_run(args):
    """The newest run of seq_train.py under --out that agrees with the options given."""
    if args.lang:
        build_language(args.lang, args.embed, args.length)  # a name that is none is told at once
    runs = [path.parent for path in Path(args.out).glob("seq/*/summary.json")]
    for folder in sorted(runs, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            summary = json.loads((folder / "summary.json").read_text())
            found = {
                "lang": summary["language"],
                "model": summary["model"],
                "hid": summary["hidden"],
                "length": summary["length"],
                "embed": summary["embedded"],
            }
        except (ValueError, KeyError, OSError):
            continue
        given = {"lang": args.lang, "model": args.model, "hid": args.hid, "length": args.length}
        given["embed"] = args.embed or (False if args.lang else None)
        wanted = {name: value for name, value in given.items() if value is not None}
        if summary.get("networks") and all(found[name] == wanted[name] for name in wanted):
            return folder
    raise BadInput(
        f"no finished run under {args.out} is what you ask for; train one with seq_train.py, or "
        "give --run, --checkpoint or --out"
    )


def main(argv=None):
    args = parse_args(argv)
    path = find_checkpoint(args)

    import torch

    from common.run_folder import RunFolder

    one_thread()
    networks = unpack(path, args)
    model, language = networks.model, networks.language
    if args.network is not None and args.network > model.n_networks:
        raise BadInput(f"{path} holds {model.n_networks} networks, there is no {args.network}")
    name = f"plot_{full_name(language, model.kind, model.n_hidden)}"
    folder = RunFolder(args, "seq", name, torch.device("cpu"))
    with torch.no_grad():
        found = judge(networks, args.seed)
        network = found.best if args.network is None else args.network - 1
        traced = trace_of(networks, network, args.num_plot, args.seed)
        if not args.quiet:
            for b in range(len(traced.hidden)):
                print("\n".join(traced.lines(b)) + "\n")
        save_trace(folder, networks, network, traced)
        lines, content = analyse(networks, network, traced, found, folder)
    of = f", network {network + 1} of {model.n_networks}" if model.n_networks > 1 else ""
    print(f"{in_words(language, model)}{of}, from {path}")
    print("\n".join(lines))
    content = {
        "plot_of": str(path),
        "what": in_words(language, model),
        "network": network + 1,
        "solved": found.solved[network],
        "first_failing_n": None
        if found.first_failing_n is None
        else found.first_failing_n[network],
        "excess_cross_entropy": found.excess_cross_entropy[network],
        **content,
    }
    folder.save_json("summary.json", content)
    print(f"Run folder: {folder}")


if __name__ == "__main__":
    run(main)
