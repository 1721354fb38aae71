"""Train recurrent networks to predict the next symbol of a formal language, several side by side.

    python scripts/seq_train.py --lang anbncn --model lstm
    python scripts/seq_train.py --lang reber --embed --model lstm --hid 4
    python scripts/seq_train.py --lang anb2nc3n --set_weights        # no training: counts exactly

At the end every network is evaluated on held-out strings: solved or not, and for a counting
language the first n it fails at. The best one is traced and drawn. Exit status 1 if none is solved.
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # however Python was started

from common.network_options import (
    add_network_options,
    add_training_options,
    held_out,
    planned,
    refuse_unused,
)
from common.options import BadInput, Parser, add_flag, add_shared, number, run

N_REPORTS = 10  # sample traces printed on the way
MAX_GRID = 100  # of each of two numbers: all pairs are read
N_TRACED = 10  # strings of the best network that are traced and drawn


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    add_network_options(parser)
    group = add_training_options(parser)
    help = """the first failing n is looked for up to here (default: 1000; of two numbers, as of
        anbmcmdn, twice --length; dyck: 12)"""
    group.add_argument("--n_most", type=number(int, 1, most=10**6), help=help)
    help = "a checkpoint is kept after each so many thousand sequences, for seq_plot.py"
    group.add_argument("--save_every", type=number(int, 1, most=10**6), default=10, help=help)
    add_flag(group, "--rates", "SRNs of two letters: contraction times expansion, quantiles")
    add_flag(group, "--set_weights", "no training: weights set by hand that count exactly (lstm)")
    help = "go on with the networks of a run folder or a checkpoint, up to --epoch"
    group.add_argument("--resume", metavar="RUN", help=help)
    help = "networks trained side by side, with consecutive seeds (default: 8)"
    add_shared(parser, seeds=None, seeds_help=help)
    args = parser.parse_args(argv)
    refuse_unused(args)
    args.seeds = args.seeds or (1 if args.set_weights else 8)
    return args


def train_networks(networks, folder, args):
    """Train to the end of the recipe, printing sample traces and saving checkpoints on the way.

    Returns (Networks, {name: checkpoint}). After an interrupt the networks are those of the last
    report, from which --resume goes on exactly, and the checkpoints are None.
    """
    from anbn.networks import pack, trained
    from anbn.results import report_lines
    from common.run_folder import progress

    total, printed = networks.recipe["n_sequences"], networks.sequences
    print_every, every = max(1000, total // N_REPORTS), 1000 * args.save_every
    checkpoints, kept = {}, networks.select(slice(None))
    bar = progress(quiet=args.quiet, total=total, initial=printed, unit="seq")

    def checkpoint(sequences):
        name = kept.file_name(sequences)
        checkpoints[name] = pack(kept)
        folder.save_model(checkpoints[name], name)

    try:
        for now in trained(networks):
            before, kept = kept.sequences, now
            bar.update(now.sequences - before)
            if not args.quiet and now.sequences >= min(total, printed + print_every):
                printed = now.sequences
                bar.clear()
                print("\n".join(report_lines(now, held_out(args.seed + printed, 1))), flush=True)
            stage = now.sequences // every
            if stage > before // every and now.sequences < total:
                checkpoint(stage * every)
        checkpoint(total)  # its name is that of --epoch, whole updates or not
    except KeyboardInterrupt:
        folder.save_model(pack(kept))
        folder.save_csv("metrics.csv", kept.metrics())
        return kept, None
    finally:
        bar.close()
    return kept, checkpoints


def main(argv=None):
    args = parse_args(argv)

    import torch

    from anbn.compiled import code_in_use
    from anbn.networks import merged, unpack
    from anbn.train import GROUP_SIZE
    from common.processes import Processes, share_out
    from common.run_folder import RunFolder, choose_device

    torch.set_num_threads(1)  # a time step is so small that threads wait longer than they work
    torch.set_flush_denormal(True)  # saturated gates' gradients: many processors are slow at these
    n_networks, make = planned(args)
    share_out(args, n_networks, GROUP_SIZE)
    processes = Processes()
    if args.device == "mps" and not args.no_cuda:
        raise BadInput("mps has no float64, which sums need here: use --device cpu")
    device = processes.join(choose_device(args))
    networks = make(processes.share(range(n_networks), GROUP_SIZE))
    if args.rates and (networks.model.kind != "srn" or len(networks.language.multiples) != 2):
        raise BadInput("--rates are those of an SRN on a language of two letters, such as anbn")
    if networks.language.axes and (args.n_most or 0) > MAX_GRID:
        raise BadInput(f"--n_most {args.n_most} is too large: of two numbers at most {MAX_GRID}")
    networks.model.to(device)
    code = code_in_use(networks.model)
    folder = RunFolder(args, "seq", networks.folder_name, device, processes, code=code)
    start = time.perf_counter()
    if not networks.hand_set:
        networks, checkpoints = train_networks(networks, folder, args)
        if checkpoints is None and not processes.lost:
            print(f"Interrupted after {networks.sequences:,} sequences per network. To go on:")
            for file in folder.files_of_all("model.pt"):
                print(f"    python scripts/seq_train.py --resume {file}")
            print(f"Run folder: {folder}")
            return 130
        parts = processes.gather(checkpoints, folder)
        if len(parts) > 1:
            for name in checkpoints:
                whole = merged([part[name] for part in parts])
                folder.save_model(whole, name)
            networks = unpack(whole, networks.language)
    seconds = time.perf_counter() - start
    with torch.no_grad():
        evaluation, lines = evaluate_and_save(networks, seconds, code, folder, args)
    print("\n".join([*lines, f"Computed with {code}", f"Run folder: {folder}"]))
    return 0 if evaluation.solved.any() else 1


def evaluate_and_save(networks, seconds, code, folder, args):
    """Evaluate all networks, trace the best one, write files; (Evaluation, lines of text)."""
    from anbn.analysis.rates import rates_by_success, rates_lines
    from anbn.evaluate import evaluate
    from anbn.networks import pack
    from anbn.plots import traces, training
    from anbn.result_text import result_lines
    from anbn.results import summary
    from anbn.trace import rows, trace

    language, held = networks.language, held_out(args.seed)
    evaluation = evaluate(networks.model, language, held, n_most=args.n_most)
    networks.best = evaluation.best
    content = summary(networks, evaluation, seconds) | {"code": code}
    lines = result_lines(content)
    if args.rates:
        content["rates"] = rates_by_success(networks, evaluation)
        lines += rates_lines(content["rates"], language.multiples[1])
    strings = language.fresh(N_TRACED, held_out(args.seed, 1))
    traced = trace(networks.model, evaluation.best, language, strings)
    folder.save_model(pack(networks))
    folder.save_json("summary.json", content)
    folder.save_csv("metrics.csv", networks.metrics())
    folder.save_csv("trace.csv", rows(traced))
    best = networks.select(slice(evaluation.best, evaluation.best + 1))
    figures = traces.figures(traced, networks.title_of(evaluation.best), best.model)
    figures |= training.figures(networks, evaluation, content["true_distribution_loss"])
    for name, figure in figures.items():
        folder.save_figure(figure, name)
    return evaluation, lines if args.quiet else [*traced.lines(0), "", *lines]


if __name__ == "__main__":
    run(main)
