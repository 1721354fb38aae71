"""What seq_train.py and seq_plot.py share: which language and network, strings never trained on."""

import math
import os

from common.options import BadInput, add_flag, number

NAMES = ("lang", "embed", "length", "model", "hid")
HELD_OUT = 1_000_000  # added to --seed for the strings that networks are evaluated on


def add_network_options(parser):
    """Add --lang, --embed, --length, --model and --hid; each is None where it is not given."""
    group = parser.add_argument_group("language and network")
    group.add_argument(
        "--lang",
        help="anbn, anb2n, anbncn, anb2nc3n or any other spelled like these; reber (default: anbn)",
    )
    add_flag(group, "--embed", "the embedded Reber grammar")
    group.add_argument(
        "--length",
        type=number(int, 1),
        help="largest n in training (default: 8, or 4 if a letter is repeated more than n times); "
        "reber: the least number of symbols (default: 4)",
    )
    group.add_argument("--model", choices=("srn", "lstm"), help="the network (default: srn)")
    group.add_argument(
        "--hid",
        type=number(int, 1),
        help="hidden units (default: srn: one per symbol, 4 for anb2nc3n, 2 for reber; lstm: 3, "
        "4 for embedded reber)",
    )
    parser.set_defaults(embed=None)


def given(args, names=NAMES):
    """{name: value} of those options that the user has given."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def held_out(seed, purpose=0):
    """The generator of strings that training never draws: 0 to evaluate networks, 1 to trace."""
    import torch

    return torch.Generator().manual_seed(seed + HELD_OUT + purpose)


def save_trace(folder, networks, traced, title):
    """Write trace.csv and the figures of a trace of a network (S = 1)."""
    from anbn.plots.traces import hidden_3d, hidden_pairs, over_time
    from anbn.trace import rows

    model = networks.model
    folder.save_csv("trace.csv", rows(traced))
    read_out = (model.V[0].detach().cpu(), model.out_bias[0].detach().cpu())
    folder.save_figure(hidden_pairs(traced, title, read_out), "hidden_pairs.png")
    if model.n_hidden == 3:
        folder.save_figure(hidden_3d(traced, title), "hidden_3d.png")
    longest = max(range(len(traced.hidden)), key=traced.n_steps)
    folder.save_figure(over_time(traced, title, longest), "over_time.png")


def require_memory(language, kind, n_hidden, n_networks, batch_size):
    """Raise BadInput if networks and their streams are larger than this machine's memory."""
    from anbn.languages import STRINGS_PER_STREAM
    from anbn.models import MODELS
    from anbn.train import GROUP_SIZE

    sizes = MODELS[kind].shapes(language.n_symbols, n_hidden).values()
    weights = 5 * n_networks * sum(map(math.prod, sizes))  # with gradients, moments and a copy
    symbols = (
        len(language.word(1)) * language.length if language.numbered else 100
    )  # Reber strings are short
    streams = max(batch_size * min(n_networks, GROUP_SIZE), 300)  # 300 evaluate a network
    per_step = 8 * language.n_symbols + n_hidden * (MODELS[kind].gate_rows + 4)
    needed = 4 * (weights + streams * STRINGS_PER_STREAM * symbols * per_step)  # bytes
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        usual = {
            "hid": n_hidden / language.default_hidden(kind),
            "length": language.length / 8,
            "batch_size": batch_size / 16,
            "seeds": n_networks / 8,
        }
        raise BadInput(
            f"this would need about {needed / 1e9:,.0f} GB of memory, and there are "
            f"{there / 1e9:,.0f}: lower --{max(usual, key=usual.get)}"
        )
