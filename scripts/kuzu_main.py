"""Train NetLin, NetFull or NetConv on Kuzushiji characters; report what is taken for what.

    python scripts/kuzu_main.py --net conv                              # built-in set if offline
    python scripts/kuzu_main.py --net conv --recipe tuned --seeds 5 --data_dir data
    python scripts/kuzu_main.py --checkpoint results/kuzu/RUN/model.pt --eval_only

Prints loss lines, the confusion matrix and the test line per epoch, then parameters, accuracy per
character and the most-confused pairs; figures and model.pt go into the run folder.
"""

import sys
from pathlib import Path

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from common.options import BadInput, Parser, add_flag, add_shared, number, run


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    group = parser.add_argument_group("network and recipe")
    group.add_argument(
        "--net", choices=("lin", "full", "conv"), help="default: full, or the checkpoint's"
    )
    group.add_argument("--hid", type=number(int, 1), help="hidden units of full (default: 100)")
    group.add_argument(
        "--recipe",
        choices=("classic", "tuned"),
        help="classic (the default): SGD, lr 0.01, momentum 0.5, batch 64, 10 epochs, inputs "
        "scaled to [-1, 1]. tuned: the strongest found for each network: images varied anew every "
        "epoch, AdamW in one cycle, batch normalization folded into the weights",
    )
    group.add_argument("--epochs", type=number(int, 1), help="default: the recipe's (classic: 10)")
    group.add_argument(
        "--lr", type=number(float, above=0), help="default: the recipe's (classic: 0.01)"
    )
    group.add_argument(
        "--mom", type=number(float, 0, most=1), help="default: the recipe's momentum (classic: 0.5)"
    )
    group.add_argument(
        "--batch_size", type=number(int, 1), help="default: the recipe's (classic: 64)"
    )
    group = parser.add_argument_group("data")
    group.add_argument(
        "--dataset",
        choices=("auto", "kmnist", "kana"),
        default="auto",
        help="auto: what lies in --data_dir, else a download, else the built-in kana set",
    )
    group.add_argument(
        "--data_dir", default="data", help="folder that holds, or will hold, KMNIST/raw"
    )
    group = parser.add_argument_group("saved networks")
    group.add_argument("--checkpoint", metavar="FILE", help="the model.pt of a run folder")
    add_flag(group, "--eval_only", "evaluate the checkpoint, do not train")
    add_flag(group, "--resume", "continue the checkpoint up to --epochs")
    add_shared(parser)
    args = parser.parse_args(argv)
    if args.eval_only and args.resume:
        parser.error("--eval_only and --resume exclude each other")
    if (args.eval_only or args.resume) and not args.checkpoint:
        parser.error(
            "--eval_only and --resume need --checkpoint FILE, the model.pt of a run folder"
        )
    if args.checkpoint and not (args.eval_only or args.resume):
        parser.error("--checkpoint needs --eval_only or --resume")
    if args.checkpoint and args.seeds > 1:
        parser.error("--checkpoint holds one network: leave out --seeds")
    return args


def main(argv=None):
    args = parse_args(argv)
    import torch
    from kuzu_output import Output

    from common.processes import Processes
    from common.run_folder import RunFolder, choose_device, load_checkpoint
    from kuzu.data import load

    processes = Processes()
    device = processes.join(choose_device(args))
    seeds = processes.share(list(range(args.seed, args.seed + args.seeds)))
    saved = check_checkpoint(load_checkpoint(args.checkpoint), args) if args.checkpoint else None
    args.net = args.net or (saved["net"] if saved else "full")
    args.hid = args.hid or (saved["n_hidden"] if saved else 100)
    if saved:
        args.seed, seeds = saved["seed"], [saved["seed"]]
    recipe = choose_recipe(args, saved)
    if device.type == "cpu" and args.net != "conv":
        torch.set_num_threads(1)  # the small networks' products are too small to share
    data = processes.in_turn(lambda: load(args.dataset, args.data_dir))
    if data.note and processes.first:
        print(f"kuzu_main.py: warning: {data.note}", file=sys.stderr)
    if saved and args.resume and saved["data"] != data.title:
        raise BadInput(
            f"{args.checkpoint} was trained on the {saved['data']}, not on the {data.title}: "
            "resume with the same --dataset and --data_dir"
        )
    data = data.to(device)
    kind = "eval" if args.eval_only else recipe.name
    folder = RunFolder(args, "kuzu", f"{args.net}_{kind}", device, processes)
    output = Output(args, recipe, data, folder)
    output.introduce(device)
    if args.eval_only:
        evaluate_saved(args, saved, data, device, output)
    else:
        train_all(args, seeds, recipe, data, device, output, saved)
    parts = processes.gather((output.networks, output.checkpoints))
    if processes.lost:
        output.interrupted = True
        output.finish()
        processes.report_loss(folder)
    if not processes.first:
        return processes.leave(folder)
    output.merge(parts)
    if recipe.name == "tuned" and not (args.eval_only or output.interrupted):
        compare_at_equal_time(args, recipe, data, device, output)
    return output.finish()


def choose_recipe(args, saved):
    """The recipe with what the command line changes; a resumed run keeps what it began with."""
    from dataclasses import replace

    from kuzu.recipes import CLASSIC, TUNED, Recipe

    recipe = TUNED[args.net] if args.recipe == "tuned" else CLASSIC
    changes = {"epochs": args.epochs, "lr": args.lr, "momentum": args.mom}
    changes["batch_size"] = args.batch_size
    changes = {name: value for name, value in changes.items() if value is not None}
    if args.resume:
        recipe = Recipe(**saved["recipe"])
        if args.recipe not in (None, recipe.name):
            raise BadInput(
                f"{args.checkpoint} was trained by the {recipe.name} recipe, not by the "
                f"{args.recipe} one: leave --recipe out to resume"
            )
        for name, value in changes.items():
            if name != "epochs" and value != getattr(recipe, name):
                raise BadInput(
                    f"{args.checkpoint} was trained with {name} {getattr(recipe, name)}, not "
                    f"{value}: leave the option out to resume"
                )
        recipe = replace(recipe, epochs=args.epochs or recipe.epochs)
        if saved["epoch"] >= recipe.epochs:
            raise BadInput(
                f"{args.checkpoint} has been trained for {saved['epoch']} epochs already: resume "
                f"with --epochs above {saved['epoch']}"
            )
        return recipe
    return replace(recipe, **changes)


def check_checkpoint(saved, args):
    """`saved` if it is a network of this script and the one the command line names."""
    wanted = {"net", "n_hidden", "seed", "epoch", "data", "recipe", "model", "optimizer", "history"}
    if not isinstance(saved, dict) or not wanted <= saved.keys():
        raise BadInput(f"{args.checkpoint} is not a checkpoint of kuzu_main.py")
    for option, key in (("net", "net"), ("hid", "n_hidden")):
        given = getattr(args, option)
        if (
            given is not None
            and given != saved[key]
            and not (option == "hid" and args.net != "full")
        ):
            raise BadInput(
                f"{args.checkpoint} holds a network with --{option} {saved[key]}, not "
                f"--{option} {given}"
            )
    if args.seed not in (0, saved["seed"]):
        raise BadInput(f"{args.checkpoint} was trained with --seed {saved['seed']}")
    return saved


def evaluate_saved(args, saved, data, device, output):
    from kuzu.models import build
    from kuzu.train import evaluate

    model = build(args.net, args.hid).to(device)
    model.load_state_dict(saved["model"])
    test = evaluate(model, data.test_images, data.test_labels)
    output.tested(test)
    output.trained(args.seed, model, test, saved["history"])


def compare_at_equal_time(args, recipe, data, device, output):
    """Both recipes from the first network's start, in the time that the classic one takes."""
    from dataclasses import replace

    from kuzu.models import build
    from kuzu.recipes import CLASSIC
    from kuzu.train import seeded, train

    def trained(recipe):
        model = build(args.net, args.hid, seeded(args.seed)).to(device)
        *_, last = records = list(train(model, data, recipe, args.seed))
        seconds = sum(record.seconds for record in records)
        return {"epochs": last.number, "seconds": seconds, "accuracy": last.test.accuracy}

    _, _, _, history = output.networks[0]
    epoch_seconds = sum(row["seconds"] for row in history) / history[-1]["epoch"]
    try:
        classic = trained(CLASSIC)
        n_epochs = max(1, min(recipe.epochs, round(classic["seconds"] / epoch_seconds)))
        tuned = trained(replace(recipe, epochs=n_epochs, evaluate_every=n_epochs))
    except KeyboardInterrupt:
        output.interrupted = True
        return
    output.equal_time = {"classic": classic, "tuned": tuned}


def train_all(args, seeds, recipe, data, device, output, saved=None):
    """Train one network per seed, one after another. Ctrl-C keeps what has been trained."""
    from kuzu.models import build
    from kuzu.train import seeded, train

    for seed in seeds:
        model = build(args.net, args.hid, seeded(seed)).to(device)
        done, optimizer_state, history = 0, None, []
        if saved:
            model.load_state_dict(saved["model"])
            done, optimizer_state = saved["epoch"], saved["optimizer"]
            history = list(saved["history"])
            output.begin(seed, history)
        epochs = train(model, data, recipe, seed, done, optimizer_state, output.batch)
        last = None
        try:
            for last in epochs:
                output.epoch(seed, model, last, history)
        except KeyboardInterrupt:
            output.interrupted = True
        if last is not None:
            output.trained(seed, model, last.test, history)
        if output.interrupted:
            return


if __name__ == "__main__":
    run(main)
