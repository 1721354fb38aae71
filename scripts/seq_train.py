"""Train recurrent networks to predict the next symbol of a formal language, several side by side.

    python scripts/seq_train.py --lang anbncn --model lstm
    python scripts/seq_train.py --lang reber --embed --model lstm --hid 4
    python scripts/seq_train.py --lang anb2nc3n --set_weights        # no training: counts exactly

At the end every network is evaluated on held-out strings: solved or not, and for a counting
language the first n it fails at. The best one is traced and drawn. Exit status 1 if none is solved.
"""

import sys
import time
from dataclasses import asdict
from pathlib import Path

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from common.network_options import add_network_options, given
from common.options import BadInput, Parser, add_flag, add_shared, number, run

CHECKPOINT_EVERY = 10_000  # training sequences per network
N_REPORTS = 10  # sample traces printed on the way
N_TRACED = 10  # strings of the best network that are traced and drawn
RECIPE_OPTIONS = ("recipe", "optim", "lr", "mom", "init", "batch_size")


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    add_network_options(parser)
    group = parser.add_argument_group("training (the defaults depend on language and network)")
    group.add_argument(
        "--recipe",
        choices=("usual", "far"),
        help="far: an LSTM is trained, longer, to count far beyond --length (default: usual)",
    )
    group.add_argument("--optim", choices=("rotated", "adam", "sgd"), help="the optimizer")
    group.add_argument("--lr", type=number(float, above=0, most=1e6), help="learning rate")
    group.add_argument("--mom", type=number(float, 0, most=0.99999), help="momentum of sgd")
    group.add_argument("--init", type=number(float, above=0), help="spread of initial weights")
    group.add_argument("--batch_size", type=number(int, 1), help="sequences per update")
    group.add_argument(
        "--epoch",
        type=number(float, above=0, most=1e6),
        help="length of training, in thousands of sequences per network",
    )
    group.add_argument(
        "--n_most",
        type=number(int, 1, most=10**6),
        default=1000,
        help="the first failing n is looked for up to here",
    )
    add_flag(group, "--rates", "SRNs of two letters: contraction times expansion of every network")
    add_flag(group, "--set_weights", "no training: weights set by hand that count exactly (lstm)")
    group.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with the networks of a run folder or a checkpoint, up to --epoch",
    )
    add_shared(parser, seeds_help="networks trained side by side, with consecutive seeds (default: 8)")
    parser.set_defaults(seeds=None)
    args = parser.parse_args(argv)
    why, unused = "", ()
    if args.set_weights:
        why, unused = "hand-set weights are not trained", (*RECIPE_OPTIONS, "epoch", "seeds")
        unused += ("resume",)
    elif args.resume:
        why, unused = "a run that is resumed keeps its networks and recipe", (*RECIPE_OPTIONS, "seeds")
    for name in given(args, unused):
        raise BadInput(f"{why}: --{name} cannot be given")
    return args


def hand_set(args):
    """The network whose weights count exactly."""
    from anbn.catalogue import named
    from anbn.checkpoint import Networks
    from anbn.handset import handset

    if args.model == "srn":
        raise BadInput("the hand-set weights are those of an LSTM; use --model lstm")
    language = named(args.lang or "anbn", args.embed, args.length)
    model = handset(language, n_hidden=args.hid)
    return Networks(model, language, best=0, seeds=[args.seed], hand_set=True)


def new_networks(args, seeds):
    """Untrained Networks, one per seed."""
    from anbn.catalogue import named
    from anbn.checkpoint import Networks
    from anbn.recipes import RECIPES, with_options
    from anbn.train import build

    language, kind = named(args.lang or "anbn", args.embed, args.length), args.model or "srn"
    n_hidden = args.hid or language.default_hidden(kind)
    recipe = with_options(
        RECIPES[args.recipe or "usual"](language, kind, n_hidden),
        optimizer=args.optim,
        learning_rate=args.lr,
        momentum=args.mom,
        init=args.init,
        batch_size=args.batch_size,
        n_sequences=None if args.epoch is None else round(1000 * args.epoch),
    )
    model = build(language, kind, n_hidden, seeds, recipe)
    return Networks(model, language, seeds=seeds, recipe=asdict(recipe))


def resumed_networks(args):
    """The Networks of --resume, ready to be trained further."""
    from anbn.checkpoint import load

    networks = load(args.resume, **given(args))
    if networks.recipe is None or networks.notes:
        why = "; ".join(networks.notes) or "it does not say how it was trained"
        raise BadInput(f"{args.resume} cannot be trained further: {why}")
    if args.epoch is not None:
        networks.recipe["n_sequences"] = round(1000 * args.epoch)
    if networks.recipe["n_sequences"] - networks.sequences < networks.recipe["batch_size"]:
        raise BadInput(
            f"{args.resume} has already been trained on {networks.sequences:,} sequences per "
            "network; give a longer --epoch (in thousands)"
        )
    return networks


def train_networks(networks, folder, args):
    """Train to the end of the recipe, printing sample traces and saving checkpoints on the way.

    Returns (Networks, checkpoints, finished): checkpoints are pairs (sequences, content). Networks
    that have not finished are those of the last report, from which --resume goes on exactly.
    """
    from anbn.checkpoint import Report, pack
    from anbn.recipes import Recipe
    from anbn.train import train
    from common.run_folder import progress

    recipe = Recipe(**networks.recipe)
    total, start = recipe.n_sequences, networks.sequences
    print_every = max(1000, total // N_REPORTS)
    printed, checkpoints, kept = start, [], networks.select(slice(None))
    bar = progress(quiet=args.quiet, total=total, initial=start, unit="seq")

    def checkpoint(sequences):
        checkpoints.append((sequences, pack(kept)))
        folder.save_model(checkpoints[-1][1], kept.file_name(sequences))

    try:
        for record in train(
            networks.model,
            networks.language,
            recipe,
            networks.seeds,
            done=start,
            optimizer_state=networks.optimizer,
        ):
            measured = record.loss, record.streams_right, record.cross_entropy
            networks.history.append(Report(record.sequences, *(part.tolist() for part in measured)))
            passed = record.sequences // CHECKPOINT_EVERY > networks.sequences // CHECKPOINT_EVERY
            networks.sequences, networks.optimizer = record.sequences, record.optimizer_state()
            kept = networks.select(slice(None))
            bar.update(record.sequences - bar.n)
            if not args.quiet and record.sequences >= min(total, printed + print_every):
                printed = record.sequences
                bar.clear()
                print_report(networks, args.seed)
            if passed and record.sequences < total:
                checkpoint(record.sequences // CHECKPOINT_EVERY * CHECKPOINT_EVERY)
        checkpoint(total)  # its name is that of --epoch, whole updates or not
    except KeyboardInterrupt:
        folder.save_model(pack(kept))
        folder.save_csv("metrics.csv", kept.metrics())
        return kept, checkpoints, False
    finally:
        bar.close()
    return networks, checkpoints, True


def print_report(networks, seed):
    """A sample trace of the network with the least loss, in the coursework's format."""
    from anbn.train import report_loss_of_truth

    loss = networks.history[-1].loss
    best = min(range(len(loss)), key=loss.__getitem__)
    print("\n".join(trace_of(networks, best, 5, seed + networks.sequences).lines(0)))
    print(f"epoch: {networks.sequences}")
    which = f"; network {best + 1}, the best of {len(loss)}" if len(loss) > 1 else ""
    true = report_loss_of_truth(networks.language)
    print(f" loss: {loss[best]:.4f}   (the true probabilities: {true:.4f}{which})\n", flush=True)


def save_results(networks, evaluation, content, folder, seed):
    """Write the networks, the figures of all of them, and the best one's trace."""
    from anbn.checkpoint import pack
    from anbn.plots.training import learning, reach

    folder.save_model(pack(networks))
    folder.save_csv("metrics.csv", networks.metrics())
    folder.save_json("summary.json", content)
    save_trace(folder, networks, evaluation.best, trace_of(networks, evaluation.best, N_TRACED, seed))
    if history := networks.history:
        losses = [report.loss for report in history]
        sequences = [report.sequences for report in history]
        figure = learning(sequences, losses, evaluation.solved, content["loss_floor"], networks.title)
        folder.save_figure(figure, "learning.png")
    if evaluation.first_failing_n is not None and networks.model.n_networks > 1:
        most, length = evaluation.n_most, networks.language.length
        figure = reach(evaluation.first_failing_n, most, length, networks.title)
        folder.save_figure(figure, "reach.png")


def main(argv=None):
    args = parse_args(argv)

    import torch

    from anbn import results
    from anbn.analysis.rates import rates_by_success, rates_lines
    from anbn.checkpoint import merged, pack, unpack
    from anbn.compiled import code_in_use
    from anbn.train import GROUP_SIZE
    from common.processes import Processes, share_out
    from common.run_folder import RunFolder, choose_device

    torch.set_num_threads(1)  # a time step is so small that threads wait longer than they work
    if args.set_weights:
        networks, n_networks = hand_set(args), 1
    elif args.resume:
        networks = resumed_networks(args)
        n_networks = networks.model.n_networks
    else:
        plan, n_networks = planned(args), args.seeds or 8
    share_out(args, n_networks, GROUP_SIZE)
    processes = Processes()
    device = processes.join(choose_device(args))
    part = processes.share(range(n_networks), GROUP_SIZE)
    if args.resume:
        networks = networks.select(slice(part.start, part.stop))
    elif not args.set_weights:
        networks = new_networks(*plan, [args.seed + s for s in part])
    networks.model.to(device)
    code = code_in_use(networks.model)
    folder = RunFolder(args, "seq", networks.folder_name, device, processes, code=code)
    seconds = 0.0
    if not networks.hand_set:
        start = time.perf_counter()
        networks, checkpoints, finished = train_networks(networks, folder, args)
        parts = processes.gather((pack(networks), checkpoints)) if finished else None
        if processes.lost:
            processes.report_loss(folder)
        if not finished:
            print(f"Interrupted after {networks.sequences:,} sequences per network. To go on:")
            for file in folder.files_of_all("model.pt"):
                print(f"    python scripts/seq_train.py --resume {file}")
            print(f"Run folder: {folder}")
            return 130
        if not processes.first:
            return processes.leave(folder)
        if len(parts) > 1:
            contents, checkpoints = zip(*parts, strict=True)
            networks = unpack(merged(contents))
            for same in zip(*checkpoints, strict=True):
                content = merged([content for _, content in same])
                folder.save_model(content, networks.file_name(same[0][0]))
        seconds = time.perf_counter() - start
    evaluation = evaluated(networks, args.seed, args.n_most)
    content = results.summary(networks, evaluation, networks.history, seconds)
    ...
    return 0 if evaluation.solved.any() else 1


if __name__ == "__main__":
    run(main)
