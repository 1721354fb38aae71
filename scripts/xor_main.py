"""Two inputs, some hidden units, one output: a perceptron solves a checkerboard of points.

    python scripts/xor_main.py                          # 4 sigmoid units, trained
    python scripts/xor_main.py --act step --hid 4       # weights set by hand, every number shown
    python scripts/xor_main.py --hid 4 --seeds 1000     # how many of 1,000 starts solve it
    python scripts/xor_main.py --set_weights --epoch 4100   # trained on from hand-set weights
    python scripts/xor_main.py --size 7 --seeds 200     # 7 x 7 points, 12 units
    python scripts/xor_main.py --size 5 --animate       # a moving picture of the training

Prints the weights, each unit's dividing line as an inequality and the activations at every point;
the run folder holds pictures of every unit, the network's diagram and the training. Exit status 1:
trained, but no network has every point on its side.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # however Python was started

from common.options import Parser, add_flag, add_shared, number, run
from xor.recipes import Recipe, default_recipe
from xor.tasks import SIZES

TRAINING = (  # option, field of the Recipe, type, help
    ("--init", "init", number(float, above=0), "slope across a unit's dividing line at the start"),
    ("--lr", "learning_rate", number(float, above=0, most=1e30), "learning rate"),
    ("--decay", "decay", number(float, 0, most=1e30), "weight decay of the hidden units"),
    ("--epoch", "epochs", number(int, 1), "most epochs of a start"),
    ("--hold", "hold", number(int, 1), "epochs at 100 %% before stopping"),
    ("--restarts", "restarts", number(int, 0, most=10**6), "new draws of a stuck network, at most"),
)
MAX_UNITS = 10**7  # hidden units of all networks: some 1 GB


def parse_args(argv=None):
    """The options; `args.recipe` holds the fields of the Recipe that were given."""
    parser = Parser(description=__doc__)
    group = parser.add_argument_group("task and network")
    text = "check: the points {0,1,2} x {0,1,2}, target (x+y) mod 2; xor: {0,1} x {0,1}"
    group.add_argument("--task", choices=tuple(SIZES), default="check", help=text)
    text = "points per side (default: 3 for check, 2 for xor)"
    group.add_argument("--size", type=number(int, 2, most=100), help=text)
    text = "activation of all units; step units have no gradient, their weights are set by hand"
    group.add_argument("--act", choices=("sig", "step"), default="sig", help=text)
    text = "hidden units (default: 4, or 2(size-1) if that is more)"
    group.add_argument("--hid", type=number(int, 1, most=10**5), help=text)
    text = "set the weights by hand, and train them only if some point is wrong, or if --epoch is "
    add_flag(group, "--set_weights", text + "given: to that epoch, by --lr, --decay, --hold")
    text = "factor of hand-set weights for sigmoid units (default: 10)"
    group.add_argument("--scale", type=number(float, above=0), help=text)
    text = "if not given, --lr is 0.4/(size-1) and --epoch 4000 (size-1) beyond 3 x 3 points; of "
    text += "hand-set weights --hold is --epoch"
    group = parser.add_argument_group("training (full batch, Adam, cosine schedule)", text)
    for name, field, kind, text in TRAINING:
        text += f" (default: {getattr(Recipe, field):g})"
        group.add_argument(name, dest=field, metavar=name[2:].upper(), type=kind, help=text)
    text = "write animation.gif: how the network shown finds its dividing lines, trained once more"
    add_flag(group, "--animate", text)
    add_shared(parser, seeds_help="train this many networks at once, with consecutive seeds")
    args = parser.parse_args(argv)
    args.size = args.size or SIZES[args.task]
    args.hid = args.hid or max(4, 2 * (args.size - 1))
    given = {field: name for name, field, *_ in TRAINING if getattr(args, field) is not None}
    args.recipe = {field: getattr(args, field) for field in given}
    if args.seeds * args.hid > MAX_UNITS:
        parser.error(f"--seeds times --hid is {args.seeds * args.hid:,}: at most {MAX_UNITS:,}")
    if args.act == "step" and given:
        parser.error(f"step units have no gradient to train by: leave out {[*given.values()][0]}")
    args.set_weights = args.set_weights or args.act == "step"
    if args.scale is not None and (args.act == "step" or not args.set_weights):
        parser.error("--scale is for hand-set weights of sigmoid units: --act sig --set_weights")
    args.scale = args.scale or (10.0 if args.act == "sig" else 1.0)
    if not args.set_weights:
        return args
    if args.animate:
        parser.error("--animate shows sigmoid units trained from a random start, not set by hand")
    if args.seeds > 1:
        parser.error("hand-set weights are one network: leave out --seeds")
    for field in ("init", "restarts"):
        if field in given:
            parser.error(f"hand-set weights are not drawn at random: leave out {given[field]}")
    if given and "epochs" not in given:
        parser.error(f"{[*given.values()][0]} is for training: add --epoch, or leave it out")
    return args


def main(argv=None):
    args = parse_args(argv)
    from dataclasses import replace

    import torch

    from common.processes import Processes, share_out
    from common.run_folder import RunFolder, choose_device
    from xor import checkpoint, results, train
    from xor.history import History, progress_line
    from xor.model import hand_set, random_networks
    from xor.tasks import grid

    share_out(args, args.seeds, train.GROUP_SIZE)
    processes = Processes()
    device = processes.join(choose_device(args))
    torch.set_num_threads(1)  # the tensors are too small to share
    inputs, targets = grid(args.size, device)
    recipe = default_recipe(args.size, **args.recipe)
    seeds = processes.share(list(range(args.seed, args.seed + args.seeds)), train.GROUP_SIZE)
    if args.set_weights:
        hold = args.recipe.get("hold", recipe.epochs)  # to the end, unless --hold
        recipe = replace(recipe, hold=hold)
        model = hand_set(args.size, args.hid, args.act, args.scale).to(device)
    else:
        model = random_networks(seeds, args.hid, args.size, recipe.init).to(device)
    history = History(model, inputs, targets, seeds)
    trained = not args.set_weights or "epochs" in args.recipe or not history.last.solved.all()
    task = {size: name for name, size in SIZES.items()}.get(args.size, f"grid{args.size}")
    name = f"{task}_{args.act}{args.hid}" + "_by_hand" * args.set_weights
    folder = RunFolder(args, "xor", name, device, processes)
    interrupted = False
    try:
        for record in train.train(model, inputs, targets, recipe, seeds) if trained else ():
            if history.add(record) and not args.quiet:
                print(progress_line(record), flush=True)
    except KeyboardInterrupt:
        interrupted = True
    if history.close(interrupted) and not args.quiet:
        print(progress_line(history.last))
    if processes.count > 1:
        folder.save_model(checkpoint.content(history, 0))  # for good if the first process fails
    histories, interrupts = zip(*processes.gather((history, interrupted), folder), strict=True)
    history.merge(histories)
    summary = results.summary(history, recipe if trained else None, args.set_weights)
    folder.save_model(checkpoint.content(history, summary["shown"]))  # before a second Ctrl-C
    title = summary["title"] + f"; seed {summary['seed']}" * (args.seeds > 1)
    title += f", draw {summary['draw']}" * (summary["draw"] > 1)
    save(folder, history, summary, title)
    if args.animate and history.last.epoch:
        animate(folder, history, summary, title, recipe)
    print("\n".join([*results.result_lines(summary), f"Run folder: {folder}"]))
    return 130 if any(interrupts) else 0 if history.last.solved.any() else 1


def save(folder, history, summary, title):
    """What a run leaves beside its networks; title: of the figures of the network shown."""
    from xor import plots

    shown = summary["shown"]
    network, points = history.model.network(shown), (history.inputs, history.targets)
    folder.save_json("summary.json", summary)
    folder.save_csv("activations.csv", summary["activations"])
    if history.reports:
        folder.save_csv("metrics.csv", history.rows())
    folder.save_figure(plots.hidden_units(network, *points, title), "hidden.png")
    folder.save_figure(plots.output_region(network, *points, title), "output.png")
    folder.save_figure(plots.diagram(network, title), "network.png")
    if history.last.epoch:
        epochs = summary["first_right"], summary["stays_right_from"]
        folder.save_figure(plots.learning(*history.curves(), shown, *epochs, title), "learning.png")
    if summary.get("solved"):
        last = history.last.of(history.last.solved)
        epochs = last.first_right, last.stays_right_from
        figure = plots.epochs_to_solve(*epochs, len(history.seeds), summary["title"])
        folder.save_figure(figure, "epochs_to_solve.png")


def animate(folder, history, summary, title, recipe):
    """The moving picture of the network shown, from its last draw on."""
    from xor import animation
    from xor.train import redraw_seed

    seed, draw = summary["seed"], summary["draw"]
    seed = redraw_seed(seed, draw - 1) if draw > 1 else seed
    n_epochs = min(recipe.epochs, history.last.epoch - (draw - 1) * recipe.epochs)
    size = summary["size"]
    networks = animation.train_again(seed, summary["hidden"], size, recipe, n_epochs)
    folder.save_text("animation.gif", animation.learning(networks, size, title))


if __name__ == "__main__":
    run(main)
