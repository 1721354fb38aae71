"""The options of seq_train.py and seq_plot.py, and the networks they ask for."""

import math
import os
from pathlib import Path

from common import say
from common.options import BadInput, add_flag, number

NAMES = ("lang", "embed", "length", "model", "hid")
SETTINGS = {  # options and the settings of a Recipe that they are
    "optim": "optimizer",
    "lr": "learning_rate",
    "mom": "momentum",
    "init": "init",
    "batch_size": "batch_size",
}
HELD_OUT = 1_000_000  # added to --seed for the strings that networks are evaluated on


def add_network_options(parser):
    """Add --lang, --embed, --length, --model and --hid; each is None where it is not given."""
    group = parser.add_argument_group("language and network")
    add = group.add_argument
    help = """anbn, anb2nc3n, anbmcmdn, anbmcn+m or any other spelled like these; reber; dyck1,
        dyck2; a file of your own, a Language in Python or strings, one per line (default: anbn)"""
    add("--lang", type=spelled, help=help)
    add_flag(group, "--embed", "the embedded Reber grammar")
    help = "largest n in training (default: 8, or 4 if a letter is repeated more than n times); "
    help += "reber: the least number of symbols (default: 4); dyck: the symbols read (default: 50)"
    add("--length", type=number(int, 1), help=help)
    add("--model", choices=("srn", "lstm"), help="the network (default: srn)")
    help = """hidden units (default: srn: one per symbol, and one for each of several counters, 4
        for anb2nc3n, 2 for reber; lstm: 3, 4 for embedded reber; dyck1: 2, dyck2: 12)"""
    add("--hid", type=number(int, 1), help=help)
    parser.set_defaults(embed=None)


def spelled(lang):
    """A language as a checkpoint names it: a file by its whole path, as anbn.catalogue.is_file."""
    path = Path(lang)
    return str(path.expanduser().resolve()) if path.suffix or path.name != lang else lang


def add_training_options(parser):
    """Add the options of a Recipe; each is None where it is not given."""
    group = parser.add_argument_group("training (the defaults depend on language and network)")
    add = group.add_argument
    help = "far: an LSTM, or an SRN on anbn, is trained, longer, to count far beyond --length "
    help += "(default: usual)"
    add("--recipe", choices=("usual", "far"), help=help)
    help = "the optimizer; rotated: Adam in the eigenbasis of each network's gradients"
    add("--optim", choices=("rotated", "adam", "sgd"), help=help)
    add("--lr", type=number(float, above=0, most=1e6), help="learning rate")
    help = "momentum of sgd; of the others, decay of the first moment"
    add("--mom", type=number(float, 0, most=0.99999), help=help)
    add("--init", type=number(float, above=0, most=1e3), help="spread of initial weights")
    add("--batch_size", type=number(int, 1), help="sequences per update")
    help = "length of training, in thousands of sequences per network"
    add("--epoch", type=number(float, above=0, most=1e6), help=help)
    return group


def given(args, names=NAMES):
    """{name: value} of those options that the user has given."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def refuse_unused(args):
    """Raise BadInput for an option that --set_weights or --resume would ignore."""
    if args.set_weights:
        why, unused = "hand-set weights are not trained", ("epoch", "resume")
    elif args.resume:
        why, unused = "a run that is resumed keeps its networks and recipe", NAMES
        if args.lang and Path(args.lang).is_absolute():  # a file's place, which may be another now
            unused = NAMES[1:]
    else:
        return
    for name in given(args, (*unused, "recipe", "seeds", *SETTINGS)):
        raise BadInput(f"{why}: --{name} cannot be given")


def held_out(seed, purpose=0):
    """The generator of strings that training never draws: 0 to evaluate networks, 1 to trace."""
    import torch

    return torch.Generator().manual_seed(seed + HELD_OUT + purpose)


def planned(args):
    """(number of networks, function of a part of their range that makes these Networks): new ones,
    those set by hand to count exactly, or those of --resume."""
    from anbn.catalogue import named
    from anbn.handset import handset
    from anbn.networks import Networks, untrained
    from anbn.recipes import RECIPES, with_options

    if args.resume:
        networks = resumed(args)
        args.seed = args.seed or networks.seeds[0]  # of the folder's name, and of the evaluation
        return len(networks.seeds), lambda part: networks.select(slice(part.start, part.stop))
    if args.set_weights and args.model == "srn":
        raise BadInput("the hand-set weights are those of an LSTM; use --model lstm")
    language, kind = named(args.lang or "anbn", args.embed, args.length), args.model or "srn"
    if args.set_weights:
        model = handset(language, n_hidden=args.hid)
        return 1, lambda part: Networks(model, language, seeds=[args.seed], hand_set=True)
    which = language, kind, args.hid or language.default_hidden(kind)
    recipe = with_options(
        RECIPES[args.recipe or "usual"](*which),
        n_sequences=args.epoch and max(1, round(1000 * args.epoch)),
        **{setting: getattr(args, option) for option, setting in SETTINGS.items()},
    )
    require_memory(*which, args.seeds, recipe.batch_size)
    return args.seeds, lambda part: untrained(*which, [args.seed + s for s in part], recipe)


def resumed(args):
    """The networks of --resume."""
    from anbn.checkpoint import CheckpointError, load

    networks = load(args.resume, lang=args.lang)
    try:
        networks.require_more(args.epoch and round(1000 * args.epoch))
    except CheckpointError as error:
        raise BadInput(f"{args.resume} cannot be trained further: {error}") from None
    for note in networks.notes:
        say(f"warning: {note}")
    return networks


def require_memory(language, kind, n_hidden, n_networks, batch_size):
    """Raise BadInput if networks and their streams are larger than this machine's memory."""
    from anbn.languages import STRINGS_PER_STREAM
    from anbn.models import MODELS
    from anbn.train import GROUP_SIZE

    sizes = MODELS[kind].shapes(language.n_symbols, n_hidden).values()
    weights = 5 * n_networks * sum(map(math.prod, sizes))  # with gradients, moments and a copy
    streams = max(batch_size * min(n_networks, GROUP_SIZE), 300)  # 300 evaluate a network
    per_step = 8 * language.n_symbols + n_hidden * (MODELS[kind].gate_rows + 4)
    needed = 4 * (weights + streams * STRINGS_PER_STREAM * language.max_symbols * per_step)  # bytes
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        usual = {"hid": n_hidden / language.default_hidden(kind), "length": language.length / 8}
        usual |= {"batch_size": batch_size / 16, "seeds": n_networks / 8}
        raise BadInput(
            f"this would need about {needed / 1e9:,.0f} GB of memory, and there are "
            f"{there / 1e9:,.0f}: lower --{max(usual, key=usual.get)}"
        )
