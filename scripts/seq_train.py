"""Train recurrent networks to predict the next symbol of a formal language, several side by side.

    python scripts/seq_train.py --lang anbncn --model lstm
    python scripts/seq_train.py --lang reber --embed --model lstm --hid 4
    python scripts/seq_train.py --lang anb2nc3n --set_weights        # no training: counts exactly

At the end every network is judged on held-out strings: solved or not, and for a counting language
the first n it fails at. The best one is traced and drawn. Exit status 1 if none is solved.
"""

import sys
import time
from dataclasses import asdict, fields
from pathlib import Path

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from seq_rates import rates_by_success, rates_lines
from seq_results import result_lines, summary, title
from sequences import (
    Networks,
    add_network_options,
    build_language,
    default_hidden,
    full_name,
    judge,
    merged,
    newest_checkpoint,
    one_thread,
    pack,
    save_trace,
    trace_of,
    unpack,
    unpacked,
)

from common.options import BadInput, Parser, add_flag, add_shared, number, run

CHECKPOINT_EVERY = 10_000  # training sequences per network
N_REPORTS = 10  # sample traces printed on the way
N_TRACED = 10  # strings of the best network that are traced and drawn


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
    group.add_argument("--mom", type=number(float, 0, most=1), help="momentum of sgd")
    group.add_argument("--init", type=number(float, above=0), help="spread of initial weights")
    group.add_argument("--batch_size", type=number(int, 1), help="sequences per update")
    group.add_argument(
        "--epoch",
        type=number(float, above=0),
        help="length of training, in thousands of sequences per network",
    )
    group.add_argument(
        "--n_most",
        type=number(int, 1),
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
    add_shared(parser, seeds=8, seeds_help="networks trained side by side, with consecutive seeds")
    return parser.parse_args(argv)


def new_networks(args, seeds, device):
    """Untrained Networks, one per seed, or the hand-set one."""
    from anbn.handset import handset
    from anbn.recipes import RECIPES, with_options
    from anbn.train import build

    language = build_language(args.lang or "anbn", args.embed, args.length)
    if args.set_weights:
        if args.model == "srn":
            raise BadInput("the hand-set weights are those of an LSTM; use --model lstm")
        model = handset(language, n_hidden=args.hid).to(device)
        return Networks(model, language, best=0, seeds=[args.seed], hand_set=True)
    kind = args.model or "srn"
    n_hidden = args.hid or default_hidden(language, kind)
    recipe = with_options(
        RECIPES[args.recipe or "usual"](language, kind, n_hidden),
        optimizer=args.optim,
        learning_rate=args.lr,
        momentum=args.mom,
        init=args.init,
        batch_size=args.batch_size,
        n_sequences=None if args.epoch is None else round(1000 * args.epoch),
    )
    model = build(language, kind, n_hidden, seeds, recipe, device=device)
    return Networks(model, language, seeds=seeds, recipe=asdict(recipe))


def resumed_networks(args, device):
    """The Networks of --resume, ready to be trained further."""
    from anbn.recipes import Recipe

    path = Path(args.resume)
    for name in ("recipe", "optim", "lr", "mom", "init", "batch_size"):
        if getattr(args, name) is not None:
            raise BadInput(f"a run that is resumed keeps its own recipe: --{name} cannot be given")
    networks = unpack(newest_checkpoint(path) if path.is_dir() else path, args)
    if networks.recipe is None:
        raise BadInput(f"{path} does not say how it was trained; only our own runs can be resumed")
    if networks.recipe.keys() != {setting.name for setting in fields(Recipe)}:
        raise BadInput(
            f"{path} was trained by another version of these scripts, whose recipes had other "
            "settings: train anew"
        )
    if args.epoch is not None:
        networks.recipe["n_sequences"] = round(1000 * args.epoch)
    total = networks.recipe["n_sequences"]
    if total - networks.sequences < networks.recipe["batch_size"]:
        raise BadInput(
            f"{path} has already been trained on {networks.sequences:,} sequences per network; "
            "give a longer --epoch (in thousands)"
        )
    networks.model.to(device)
    return networks


def train_networks(networks, folder, args):
    """Train to the end of the recipe, printing a trace and saving checkpoints on the way.

    Returns the history, a list of (sequences, [loss per network], [share of held-out streams right
    per network]), the checkpoints, a list of
    (content, sequences), and whether it has come to the end. If not, the networks of the last
    report are kept, from which --resume goes on exactly.
    """
    from anbn.evaluate import loss_floor
    from anbn.recipes import Recipe
    from anbn.train import train
    from common.run_folder import progress

    recipe = Recipe(**networks.recipe)
    total, floor = recipe.n_sequences, loss_floor(networks.language)
    print_every = max(1000, total // N_REPORTS)
    printed = saved = networks.sequences
    history, checkpoints, kept = [], [], pack(networks)
    bar = progress(quiet=args.quiet, total=total, initial=networks.sequences, unit="seq")
    try:
        for record in train(
            networks.model,
            networks.language,
            recipe,
            networks.seeds,
            done=networks.sequences,
            optimizer_state=networks.optimizer,
        ):
            networks.sequences = record.sequences
            networks.optimizer = record.optimizer_state()
            kept = pack(networks)
            loss = record.loss.tolist()
            right = record.streams_right.tolist()
            history.append((record.sequences, loss, right))
            entropy = record.cross_entropy.tolist()
            for s, seed in enumerate(networks.seeds):
                figures = {"loss": loss[s], "cross_entropy": entropy[s], "streams_right": right[s]}
                folder.log(sequences=record.sequences, network=s + 1, seed=seed, **figures)
            bar.update(record.sequences - bar.n)
            if not args.quiet and record.sequences >= min(total, printed + print_every):
                printed = record.sequences
                bar.clear()
                print_report(networks, loss, floor, args.seed)
            if record.sequences // CHECKPOINT_EVERY > saved // CHECKPOINT_EVERY:
                saved = record.sequences
                checkpoints.append((kept, saved // CHECKPOINT_EVERY * CHECKPOINT_EVERY))
                save_checkpoint(folder, *checkpoints[-1])
    except KeyboardInterrupt:
        folder.save_model(kept)
        return history, checkpoints, False
    finally:
        bar.close()
        if history:
            folder.flush()
    checkpoints.append((kept, total))  # its name is that of --epoch, whole updates or not
    save_checkpoint(folder, kept, total)
    return history, checkpoints, True


def merge(parts, folder):
    """Networks and history of all processes, in the order of the seeds; the folder's checkpoints
    and metrics are written anew with all networks."""
    networks, history, checkpoints, rows = zip(*parts, strict=True)
    for same in zip(*checkpoints, strict=True):
        save_checkpoint(folder, merged([content for content, _ in same]), same[0][1])
    folder.rows = sorted((row for part in rows for row in part), key=lambda row: row["sequences"])
    for network, row in enumerate(folder.rows):
        row["network"] = network % sum(len(part["seeds"]) for part in networks) + 1
    folder.flush()
    together = [
        (same[0][0], *(sum((part[k] for part in same), []) for k in (1, 2)))
        for same in zip(*history, strict=True)
    ]
    return unpacked(merged(networks)), together


def print_report(networks, loss, floor, seed):
    """A sample trace of the network with the least loss, in the coursework's format."""
    best = min(range(len(loss)), key=loss.__getitem__)
    print("\n".join(trace_of(networks, best, 5, seed + networks.sequences).lines(0)))
    print(f"epoch: {networks.sequences}")
    least = f"; network {best + 1}, the best of {len(loss)}" if len(loss) > 1 else ""
    print(f" loss: {loss[best]:.4f}   (a perfect predictor: {floor:.4f}{least})\n", flush=True)


def save_checkpoint(folder, content, sequences):
    """Write {lang}_{model}{hid}_{thousands of sequences}.pth."""
    n_hidden = content["parameters"]["U"].shape[1]
    name = f"{content['language']['name']}_{content['kind']}{n_hidden}_{sequences / 1000:g}.pth"
    folder.save_model(content, name)


def save_results(networks, found, history, content, folder, seed):
    """Write the final networks, the best one's trace, the figures and summary.json."""
    from anbn.plots.training import learning, reach

    folder.save_model(pack(networks))
    folder.save_json("summary.json", content)
    save_trace(folder, networks, found.best, trace_of(networks, found.best, N_TRACED, seed))
    name = title(networks)
    if history:
        sequences, loss, _ = zip(*history, strict=True)
        figure = learning(sequences, loss, found.solved, content["loss_floor"], name)
        folder.save_figure(figure, "learning.png")
    if found.first_failing_n is not None and len(found.solved) > 1:
        figure = reach(found.first_failing_n, found.n_most, networks.language.length, name)
        folder.save_figure(figure, "reach.png")


def main(argv=None):
    args = parse_args(argv)
    if args.set_weights and args.resume:
        raise BadInput("hand-set weights are not trained: use --set_weights or --resume")

    import torch

    from common.processes import Processes
    from common.run_folder import RunFolder, choose_device

    one_thread()
    processes = Processes()
    if processes.count > 1 and (args.set_weights or args.resume):
        raise BadInput("--set_weights and --resume are for one process: start it without torchrun")
    device = processes.join(choose_device(args))
    seeds = processes.share(list(range(args.seed, args.seed + args.seeds)))
    networks = resumed_networks(args, device) if args.resume else new_networks(args, seeds, device)
    if args.rates and (networks.model.kind != "srn" or networks.model.n_symbols != 2):
        raise BadInput("--rates are those of an SRN on a language of two letters, such as anbn")
    name = full_name(networks.language, networks.model.kind, networks.model.n_hidden)
    name += "_handset" * networks.hand_set
    folder = RunFolder(args, "seq", name, device, processes)
    history, seconds = [], 0.0
    if not networks.hand_set:
        start = time.perf_counter()
        history, checkpoints, finished = train_networks(networks, folder, args)
        parts = None
        if finished:
            parts = processes.gather((pack(networks), history, checkpoints, folder.rows))
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
            networks, history = merge(parts, folder)
        seconds = time.perf_counter() - start
    with torch.no_grad():
        found = judge(networks, args.seed, args.n_most)
        content = summary(networks, found, history, seconds)
        if args.rates:
            content["rates"] = rates_by_success(networks, found)
        save_results(networks, found, history, content, folder, args.seed)
        if not args.quiet:
            print("\n".join(trace_of(networks, found.best, 5, args.seed).lines(0)) + "\n")
    print("\n".join(result_lines(content)))
    if args.rates:
        print("\n".join(rates_lines(content["rates"], networks.language.multiples[1])))
    print(f"Run folder: {folder}")
    return 0 if found.solved.any() else 1


if __name__ == "__main__":
    run(main)
