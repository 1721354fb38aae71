"""Train NetLin, NetFull or NetConv on Kuzushiji characters; report what is taken for what.

    python scripts/kuzu_main.py --net conv                              # built-in set if offline
    python scripts/kuzu_main.py --net conv --recipe tuned --seeds 5 --data_dir data
    python scripts/kuzu_main.py --checkpoint results/kuzu/RUN/model.pt --eval_only

Prints loss lines, at every test the confusion matrix and the test line, then parameters, accuracy
per character and the most-confused pairs; figures and model.pt go into the run folder.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # however Python was started

from common import say
from common.options import BadInput, Parser, add_flag, add_shared, number, run


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    group = parser.add_argument_group("network and recipe")
    text = "default: full, or the checkpoint's"
    group.add_argument("--net", choices=("lin", "full", "conv"), help=text)
    group.add_argument("--hid", type=number(int, 1), help="hidden units of full (default: 100)")
    text = (
        "classic (the default): SGD, lr 0.01, momentum 0.5, batch 64, 10 epochs, inputs scaled to "
        "[-1, 1]. tuned: the strongest found for each network: images augmented, one cycle of the "
        "rate, NetConv with batch normalization that is folded into its weights"
    )
    group.add_argument("--recipe", choices=("classic", "tuned"), help=text)
    for name, kind, classic in (
        ("epochs", number(int, 1), 10),
        ("lr", number(float, above=0), 0.01),
        ("mom", number(float, 0), 0.5),
        ("batch_size", number(int, 1), 64),
    ):
        text = f"default: the recipe's (classic: {classic})"
        group.add_argument(f"--{name}", type=kind, help=text)
    group = parser.add_argument_group("data")
    text = "auto: what lies in --data_dir, else a download, else (unless --data_dir is given) the "
    text += "built-in kana set"
    group.add_argument("--dataset", choices=("auto", "kmnist", "kana"), default="auto", help=text)
    text = "folder that holds KMNIST's files, or will hold them (default: data)"
    group.add_argument("--data_dir", help=text)
    group = parser.add_argument_group("saved networks")
    group.add_argument("--checkpoint", metavar="FILE", help="the model.pt of a run folder")
    add_flag(group, "--eval_only", "evaluate the checkpoint, do not train")
    add_flag(group, "--resume", "continue the checkpoint up to --epochs")
    add_shared(parser)
    args = parser.parse_args(argv)
    if args.eval_only and args.resume:
        parser.error("--eval_only and --resume exclude each other")
    if bool(args.checkpoint) != (args.eval_only or args.resume):
        parser.error("--checkpoint FILE goes with --eval_only or --resume, and they with it")
    if args.hid and args.net in ("lin", "conv"):
        parser.error(f"--hid is the hidden units of full: leave it out with --net {args.net}")
    if args.checkpoint and args.seeds > 1:
        parser.error("--checkpoint holds one network: leave out --seeds")
    return args


def main(argv=None):
    args = parse_args(argv)
    from common.processes import Processes, share_out

    share_out(args, args.seeds)
    from common.run_folder import RunFolder, choose_device, describe
    from kuzu import checkpoint, plots, results
    from kuzu.data import load
    from kuzu.device import limit_threads, usable_device
    from kuzu.recipes import recipe_for
    from kuzu.train import at_equal_time, evaluate, train

    def show(*lines):
        if not args.quiet:
            print(*lines, sep="\n", flush=True)

    def tell(text):
        if processes.first:
            say(text)

    def warn(text):
        if text:
            tell(f"warning: {text}")

    processes = Processes()
    device = processes.join(choose_device(args, accelerate=True))
    changes = dict(epochs=args.epochs, lr=args.lr, momentum=args.mom, batch_size=args.batch_size)
    saved = checkpoint.load(args.checkpoint) if args.checkpoint else None
    if saved:
        given = dict(net=args.net, n_hidden=args.hid, recipe=args.recipe, seed=args.seed or None)
        planned = saved.recipe.epochs
        checkpoint.check_options(saved, changes | given, args.resume)
        args.net, args.hid, args.seed = saved.net, saved.n_hidden, saved.seed
        recipe = saved.recipe
        if recipe.warm_up is not None and recipe.epochs != planned:
            warn(
                f"the learning rate's cycle was one of {planned} epochs; it goes on as one of "
                f"{recipe.epochs}, as if it had been so from the start"
            )
    else:
        args.net, args.hid = args.net or "full", args.hid or 100
        recipe = recipe_for(args.net, args.recipe or "classic", **changes)
    seeds = processes.share(list(range(args.seed, args.seed + args.seeds)))
    data = processes.in_turn(lambda: load(args.dataset, args.data_dir, tell))
    warn(data.note)
    if other := saved and checkpoint.other_data(saved, data):
        if args.resume:
            raise BadInput(f"{args.checkpoint} {other}: give --resume the same images")
        warn(f"{args.checkpoint} {other}")
    auto = args.device == "auto"
    device, trouble = usable_device(device, auto, args.net, args.hid, recipe, data)
    warn(trouble)
    if device.type == "cpu":
        limit_threads(args.net)
    data = data.to(device)
    kind = "eval" if args.eval_only else recipe.name
    folder = RunFolder(args, "kuzu", f"{args.net}_{kind}", device, processes, data=data.title)
    show(*results.introduction(args.net, recipe, data, describe(device)))

    def report(epoch, seen, loss):
        show(results.loss_line(epoch, seen, len(data.train_labels), loss))

    def save(network):
        if args.eval_only:
            return
        name = "model.pt" if args.seeds == 1 else f"model_s{network.seed}.pt"
        folder.save_model(network.content(), name)
        rows = [{"seed": one.seed, **row} for one in networks for row in one.history]
        folder.save_csv("metrics.csv", rows)

    networks, interrupted, equal_time = [], False, None
    try:
        for seed in seeds:
            network = saved or checkpoint.new(args.net, args.hid, seed, data, recipe)
            networks.append(network)
            model = network.model.to(device)
            if args.eval_only:
                network.test = evaluate(model, data.test_images, data.test_labels)
                show(*results.evaluation_lines(network.test))
                break
            for epoch in train(model, data, recipe, seed, network.epoch, network.state, report):
                network.record(epoch)
                save(network)
                show(*results.evaluation_lines(epoch.test))
    except KeyboardInterrupt:
        interrupted = True
    for network in networks:
        network.rewind()
    networks = [network for network in networks if network.test]
    parts = processes.gather((networks, interrupted), folder)
    networks = [network for part, _ in parts for network in part]
    interrupted = any(early for _, early in parts)
    for network in networks:
        save(network)
    if not networks:
        print(f"Interrupted before the first test.\nRun folder: {folder}")
        return 130
    if recipe.name == "tuned" and not (args.eval_only or interrupted):
        try:
            equal_time = at_equal_time(args.net, args.hid, recipe, args.seed, data)
        except KeyboardInterrupt:
            interrupted = True
    summary = results.summary(networks, data, interrupted, equal_time)
    folder.save_json("summary.json", summary)
    for name, figure in plots.figures(networks, data):
        folder.save_figure(figure, name)
    if args.quiet and len(networks) == 1:
        print(*results.evaluation_lines(networks[0].test), sep="\n")
    print(*results.result_lines(summary), sep="\n")
    if interrupted:
        print("Interrupted: the figures are those of what was trained.")
    print(f"Run folder: {folder}")
    return 130 if interrupted else 0


if __name__ == "__main__":
    run(main)
