"""Say how good a recurrent network is and how it does what it does; trace it and draw it.

    python scripts/seq_plot.py --lang anbncn --model lstm     # the newest such run under results/
    python scripts/seq_plot.py --run results/seq/anbn_srn2__s0__20260101-120000
    python scripts/seq_plot.py --checkpoint net/anbn_srn2_50.pth
    python scripts/seq_plot.py --run net --lang reber --epoch 50       # coursework checkpoints

The options of language and network that are given choose among the runs. Reads fresh strings and
saves, in a run folder of its own, the trajectories in hidden space, the units, gates and
predictions over time, the machine the network implements, and trace.csv.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # however Python was started

from common import say
from common.network_options import add_network_options, given, held_out
from common.options import BadInput, Parser, add_flag, number, run

# options and their entries in a run's summary.json
KEYS = dict(lang="language", embed="embedded", length="length", model="model", hid="hidden")


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    add_network_options(parser)
    add = parser.add_argument_group("which network").add_argument
    add("--run", metavar="DIR", help="a run folder of seq_train.py, or any folder of checkpoints")
    help = """a checkpoint of ours, or the state dict of a single SRN or LSTM; its language is in
        its name, {lang}_{model}{hid}_{epoch}.pth, or given with --lang"""
    add("--checkpoint", metavar="FILE", help=help)
    help = "the checkpoint nearest to so many thousand sequences (default: the last)"
    add("--epoch", type=number(float, 0), help=help)
    add("--network", type=number(int, 1), help="its number in the run (default: the best)")
    group = parser.add_argument_group("output")
    add = group.add_argument
    add("--num_plot", type=number(int, 1), default=10, help="strings traced")
    add("--seed", type=number(int, 0, most=2**63 - 1), default=0, help="seed of the strings")
    help = "runs are looked for in here, and a folder for the figures is made"
    add("--out", "--out_path", dest="out", metavar="DIR", default="results", help=help)
    help = """animation.gif: the network reads strings; training.gif: how its hidden-unit plot has
        formed, from the checkpoints of its run (seq_train.py --save_every 1 keeps many)"""
    add_flag(group, "--animate", help)
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

    wanted = given(args)
    if args.lang:  # a name that is none is told at once
        wanted["lang"] = named(args.lang, args.embed, args.length).spelling
    if args.lang == "reber" and args.embed is None:
        wanted["embed"] = False
    runs = [path.parent for path in Path(args.out).glob("seq/*/summary.json")]
    for folder in sorted(runs, key=lambda path: path.name.split("__")[-1], reverse=True):
        try:
            summary = json.loads((folder / "summary.json").read_text())
            found = {name: summary[key] for name, key in KEYS.items()}
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


def main(argv=None):
    args = parse_args(argv)

    import torch

    from anbn.analysis.summary import analyse
    from anbn.checkpoint import load
    from anbn.evaluate import evaluate
    from anbn.plots import traces
    from anbn.results import verdict
    from anbn.trace import rows, trace
    from common.run_folder import RunFolder

    torch.set_num_threads(1)  # a time step is so small that threads wait longer than they work
    path, notes = find_checkpoint(args)
    networks = load(path, **given(args))
    language, count = networks.language, networks.model.n_networks
    if args.network is not None and args.network > count:
        raise BadInput(f"{path} holds {count} networks, there is no {args.network}")
    for note in notes + networks.notes:
        say(f"warning: {note}")
    best = networks.best if args.network is None else args.network - 1
    if best is None:
        best = evaluate(networks.model, language, held_out(args.seed)).best
    one = networks.select(slice(best, best + 1))
    what = networks.title_of(best)
    after = f"after {one.sequences / 1000:g} thousand sequences"
    title = f"{what}\n{path.name} {after}"
    folder = RunFolder(args, "seq", f"plot_{one.folder_name}", torch.device("cpu"))
    with torch.no_grad():
        evaluation = evaluate(one.model, language, held_out(args.seed))
        strings = language.fresh(args.num_plot, held_out(args.seed, 1))
        traced = trace(one.model, 0, language, strings)
        found, verdict_lines = verdict(one, evaluation)
        analysis = analyse(one.model, language, traced, evaluation, title)
        figures = traces.figures(traced, title, one.model) | analysis.figures
    folder.save_csv("trace.csv", rows(traced))
    for name, figure in figures.items():
        folder.save_figure(figure, name)
    for name, text in analysis.files.items():
        folder.save_text(name, text)
    if args.animate:
        for name, content in animations(path, networks, best, traced, analysis.machine, title):
            folder.save_text(name, content)
    about = {"plot_of": str(path), "what": what, **found, "network": best + 1}
    folder.save_json("summary.json", about | {"trace": traced.lines(0)} | analysis.content)
    lines = [f"{what}, from {path} {after}", *verdict_lines, ""]
    if not args.quiet:
        lines += sum(([*traced.lines(b), ""] for b in range(len(traced.hidden))), [])
    print("\n".join([*lines, *analysis.lines, f"Run folder: {folder}"]))


def animations(path, networks, best, traced, machine, title):
    """Yields the name and content of each GIF."""
    from anbn.checkpoint import course
    from anbn.plots.animation import reading, training
    from anbn.trace import trace

    yield "animation.gif", reading(traced, machine, title)
    stages = course(path, networks)
    if len(stages) < 3:
        say("warning: no training.gif, for there are no checkpoints of the way (--save_every)")
        return
    traces = [trace(stage.model, best, stage.language, traced.stream) for stage in stages]
    yield "training.gif", training(traces, [stage.sequences for stage in stages], title)


if __name__ == "__main__":
    run(main)
