"""Two inputs, some hidden units, one output: a perceptron solves a checkerboard of points.

    python scripts/xor_main.py                          # 4 sigmoid units, trained: seconds
    python scripts/xor_main.py --act step --hid 4       # weights set by hand, every number shown
    python scripts/xor_main.py --hid 4 --seeds 1000     # how many of 1,000 starts solve it

Prints the weights, each unit's dividing line as an equation and the activations at every point;
the run folder holds pictures of every unit, the network's diagram and the training. Exit status 1:
trained, but some points are still on the wrong side.
"""

import sys
from pathlib import Path

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from common.options import BadInput, Parser, add_flag, add_shared, number, run

SIZES = {"xor": 2, "check": 3}


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    group = parser.add_argument_group("task and network")
    group.add_argument(
        "--task",
        choices=tuple(SIZES),
        default="check",
        help="check: the points {0,1,2} x {0,1,2}, target (x+y) mod 2; xor: {0,1} x {0,1}",
    )
    group.add_argument(
        "--size", type=number(int, 2, most=100), help="points per side (default: the task's)"
    )
    group.add_argument(
        "--act", choices=("sig", "step"), default="sig", help="activation of all units"
    )
    group.add_argument(
        "--hid", type=number(int, 1), help="hidden units (default: 4, or 2(size-1) if that is more)"
    )
    add_flag(group, "--set_weights", "set the weights by hand (always so for step)")
    group.add_argument(
        "--scale",
        type=number(float, above=0),
        help="factor of hand-set weights for sigmoid units (default: 10)",
    )
    group = parser.add_argument_group("training (full batch, Adam, cosine schedule)")
    group.add_argument(
        "--init",
        type=number(float, above=0),
        default=3.0,
        help="slope across a hidden unit's dividing line at the start",
    )
    group.add_argument("--lr", type=number(float, above=0), default=0.2, help="learning rate")
    group.add_argument(
        "--decay", type=number(float, 0), default=3e-4, help="weight decay of the hidden units"
    )
    group.add_argument("--epoch", type=number(int, 1), default=4_000, help="most epochs of a start")
    group.add_argument(
        "--hold", type=number(int, 1), default=2_000, help="epochs at 100 %% before stopping"
    )
    group.add_argument(
        "--restarts",
        type=number(int, 0),
        default=0,
        help="draw a network that is stuck after --epoch epochs anew, at most this often",
    )
    add_shared(parser, seeds_help="train this many networks at once, with consecutive seeds")
    args = parser.parse_args(argv)
    args.size = args.size or SIZES[args.task]
    args.hid = args.hid or max(4, 2 * (args.size - 1))
    args.set_weights = args.set_weights or args.act == "step"
    if args.act == "step" and args.scale is not None:
        parser.error("--scale is for sigmoid units; step units need no scale")
    if not args.set_weights and args.scale is not None:
        parser.error("--scale is for hand-set weights: add --set_weights")
    args.scale = args.scale or (10.0 if args.act == "sig" else 1.0)
    if args.set_weights and args.seeds > 1:
        parser.error("hand-set weights are one network: leave out --seeds")
    if args.set_weights and args.restarts:
        parser.error("hand-set weights are not drawn, so --restarts has nothing to draw anew")
    return args


def main(argv=None):
    args = parse_args(argv)
    import torch
    from xor_output import Output

    from common.processes import Processes
    from common.run_folder import RunFolder, choose_device
    from xor.explain import score
    from xor.model import hand_set, random_networks
    from xor.tasks import grid
    from xor.train import Recipe, train

    processes = Processes()
    device = processes.join(choose_device(args))
    if device.type == "cpu":
        torch.set_num_threads(1)  # the tensors are too small to share
    inputs, targets = grid(args.size, device)
    seeds = processes.share(list(range(args.seed, args.seed + args.seeds)))
    if args.set_weights:
        model = hand_set(args.size, args.hid, args.act, args.scale).to(device)
        name = f"{args.act}{args.hid}_by_hand"
    else:
        model = random_networks(seeds, args.hid, args.size, args.init).to(device)
        name = f"{args.act}{args.hid}"
    recipe = Recipe(args.epoch, args.hold, args.lr, args.init, args.decay, args.restarts)
    task = {2: "xor", 3: "check"}.get(args.size, f"grid{args.size}")
    folder = RunFolder(args, "xor", f"{task}_{name}", device, processes)
    output = Output(args, folder, inputs, targets, seeds, recipe)
    if args.set_weights and bool((score(model, inputs, targets)[1] == 100).all()):
        return output.finish(model)  # nothing left to train
    try:
        for record in train(model, inputs, targets, recipe, seeds):
            output.epoch(record)
    except KeyboardInterrupt:
        if output.last is None:
            raise BadInput("interrupted before the first report: nothing was trained") from None
        output.interrupted = True
    parts = processes.gather((model.cpu(), output.history))
    if processes.lost:
        output.finish(model)
        processes.report_loss(folder)
    if not processes.first:
        return processes.leave(folder)
    return output.finish(output.merge(parts))


if __name__ == "__main__":
    run(main)
