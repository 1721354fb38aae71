"""What seq_train.py and seq_plot.py share: their options, reading checkpoints, saving a trace."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from common.options import BadInput, add_flag, number

# MKL rounds a small product by where it lies in memory unless told not to; then network s of many
# is network s of few to the last bit, however many processes share them. Read by the first product.
os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")

HELD_OUT = 1_000_000  # added to --seed for the strings that networks are judged on


def one_thread():
    """Keep torch to one thread: a time step is so small a product that threads wait for each other
    longer than they work, and many times longer where something else runs on the machine."""
    import torch

    torch.set_num_threads(1)


def add_network_options(parser):
    """Add the options that say which language and which network."""
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
    return group


def build_language(name, embed=False, length=None):
    """The language called `name`. Raises BadInput or LanguageError if there is none."""
    from anbn.counting import CountingLanguage
    from anbn.reber import ReberLanguage

    if name == "reber":
        return ReberLanguage(embed, length or 4)
    if embed:
        raise BadInput(f"only reber can be embedded, not {name}")
    return CountingLanguage.named(name, length)


def default_hidden(language, kind):
    """The number of hidden units where --hid does not say it."""
    if kind == "lstm":
        return 4 if getattr(language, "embed", False) else 3
    special = {"anb2nc3n": 4, "reber": 2}
    return special.get(language.name, language.n_symbols)


def full_name(language, kind, n_hidden):
    """A name for folders: anbn_srn2, reber_embedded_lstm4."""
    embedded = "_embedded" if getattr(language, "embed", False) else ""
    return f"{language.name}{embedded}_{kind}{n_hidden}"


def in_words(language, model):
    """A name for titles: anbn, SRN with 2 hidden units."""
    embedded = "embedded " if getattr(language, "embed", False) else ""
    units = f"{model.n_hidden} hidden unit{'s' if model.n_hidden > 1 else ''}"
    return f"{embedded}{language.name}, {model.kind.upper()} with {units}"


@dataclass
class Networks:
    """What a checkpoint holds. best is None where nobody has judged the networks yet."""

    model: object
    language: object
    best: int | None = None
    seeds: list = field(default_factory=list)
    sequences: int = 0  # training sequences per network
    recipe: dict | None = None
    optimizer: dict | None = None
    hand_set: bool = False


def on_cpu(state):
    """An optimizer's state where every machine can read it; the tensors are copies."""
    if isinstance(state, dict):
        return {key: on_cpu(value) for key, value in state.items()}
    return state.detach().cpu().clone() if hasattr(state, "detach") else state


def pack(networks):
    """Networks as a checkpoint: tensors, numbers and text only."""
    language = networks.language
    return {
        "kind": networks.model.kind,
        "language": {
            "name": language.name,
            "embed": getattr(language, "embed", False),
            "length": language.length,
        },
        "parameters": {
            name: getattr(networks.model, name).detach().cpu().clone()
            for name in networks.model.names
        },
        **{
            name: getattr(networks, name)
            for name in ("best", "seeds", "sequences", "recipe", "hand_set")
        },
        "optimizer": on_cpu(networks.optimizer),
    }


def unpack(path, args):
    """The Networks in the file `path`: one of our checkpoints, or the bare state dict of a single
    network. args: the network options; those given must agree with the file.

    Raises BadInput with one clear line if it holds no network, or one of another kind.
    """
    from anbn.models import MODELS, ModelError
    from common.run_folder import load_checkpoint

    content = load_checkpoint(path)
    try:
        if isinstance(content, dict) and "parameters" in content:
            networks = unpacked(content)
        else:
            networks = _bare(content, path, args, MODELS)
    except ModelError as error:
        raise BadInput(f"{path}: {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError):
        raise BadInput(f"{path} holds no recurrent network") from None
    _must_agree(networks, path, args)
    return networks


def merged(contents):
    """Several checkpoints of the same recipe, at the same length of training, as one."""
    sizes = [len(content["seeds"]) for content in contents]

    def joined(values):
        """Tensors (S, ...) one after another, dicts entry by entry, the rest as it is."""
        first = values[0]
        if isinstance(first, dict):
            return {key: joined([value[key] for value in values]) for key in first}
        if getattr(first, "shape", ()) and [len(v) for v in values] == sizes:
            import torch

            return torch.cat(values)
        return first

    seeds = [seed for content in contents for seed in content["seeds"]]
    return {**joined(contents), "seeds": seeds, "best": None}


def unpacked(content):
    """The Networks that `pack` has packed."""
    from anbn.models import MODELS

    where = content["language"]
    return Networks(
        model=MODELS[content["kind"]].from_parameters(content["parameters"]),
        language=build_language(where["name"], where["embed"], where["length"]),
        best=content.get("best"),
        seeds=list(content.get("seeds") or []),
        sequences=int(content.get("sequences") or 0),
        recipe=content.get("recipe"),
        optimizer=content.get("optimizer"),
        hand_set=bool(content.get("hand_set")),
    )


def _bare(content, path, args, models):
    """A single network without the axis S; what it is for, its name or the options say."""
    shape = getattr(content.get("U"), "shape", None) if hasattr(content, "get") else None
    if shape is None or len(shape) != 2:
        raise BadInput(
            f"{path} holds no recurrent network: the keys W, U, hid_bias, V, out_bias "
            "(an SRN's also H0) are needed"
        )
    kind = "lstm" if shape[1] == 4 * shape[0] else "srn"
    known = models[kind].names
    if extra := sorted(set(content) - set(known)):
        raise BadInput(f"{path} holds no {kind}: {', '.join(map(str, extra))} is not part of one")
    named = re.fullmatch(r"(.+)_(srn|lstm)(\d+)_([\d.]+)", Path(path).stem)
    name = args.lang or (named[1] if named else None)
    if named and name != named[1]:
        raise BadInput(f"{path} is by its name a network for {named[1]}, not for {name}")
    if name is None:
        raise BadInput(f"the name of {path} does not say which language it is for; add --lang")
    parameters = {key: value.float()[None] for key, value in content.items()}
    return Networks(
        model=models[kind].from_parameters(parameters),
        language=build_language(name, args.embed and name == "reber", args.length),
        best=0,
        seeds=[0],
        sequences=int(1000 * float(named[4])) if named else 0,
    )


def _must_agree(networks, path, args):
    model, language = networks.model, networks.language
    if model.n_symbols != language.n_symbols:
        raise BadInput(
            f"{path} is a network for another language: it reads {model.n_symbols} symbols, but "
            f"{language.name} has {language.n_symbols}"
        )
    for option, wanted, found in (
        ("--lang", args.lang, language.name),
        ("--model", args.model, model.kind),
        ("--hid", args.hid, model.n_hidden),
        ("--embed", args.embed or None, getattr(language, "embed", False)),
        ("--length", args.length, language.length),
    ):
        if wanted is not None and wanted != found:
            raise BadInput(f"{path} has {option} {found}, not {wanted}")


def newest_checkpoint(folder, epoch=None):
    """The checkpoint in a run folder: the last one, or the one after `epoch` thousand sequences.
    Raises BadInput if it is not there."""
    folder = Path(folder)
    if epoch is None:
        found = [folder / "model.pt"] if (folder / "model.pt").is_file() else []
        found += sorted(folder.glob("*.pth"), key=lambda path: path.stat().st_mtime, reverse=True)
    else:
        found = sorted(folder.glob(f"*_{epoch:g}.pth"))
    if not found:
        there = ", ".join(path.stem.rsplit("_")[-1] for path in sorted(folder.glob("*.pth")))
        after = "" if epoch is None else f" after {epoch:g} thousand sequences"
        raise BadInput(
            f"no checkpoint{after} in {folder}"
            + (f"; there are those after {there}" if there else "")
        )
    return found[0]


def judge(networks, seed, n_most=1000):
    """The Evaluation of all networks on held-out strings; fills in which one is the best."""
    import torch

    from anbn.evaluate import evaluate

    generator = torch.Generator().manual_seed(seed + HELD_OUT)
    found = evaluate(networks.model, networks.language, generator, n_most=n_most)
    networks.best = found.best
    return found


def trace_of(networks, network, n_strings, seed):
    """A Trace of one network on fresh strings."""
    import torch

    from anbn.trace import fresh_strings, trace

    generator = torch.Generator().manual_seed(seed + HELD_OUT + 1)
    strings = fresh_strings(networks.language, n_strings, generator)
    return trace(networks.model, network, networks.language, strings)


def save_trace(folder, networks, network, traced):
    """Write trace.csv and the figures of a trace into the run folder."""
    from anbn.plots.traces import hidden_3d, hidden_pairs, over_time
    from anbn.trace import rows

    model = networks.model
    title = in_words(networks.language, model)
    if model.n_networks > 1:
        title += f", network {network + 1} of {model.n_networks}"
    folder.save_csv("trace.csv", rows(traced))
    read_out = (model.V[network].detach().cpu(), model.out_bias[network].detach().cpu())
    folder.save_figure(hidden_pairs(traced, title, read_out), "hidden_pairs.png")
    if model.n_hidden == 3:
        folder.save_figure(hidden_3d(traced, title), "hidden_3d.png")
    longest = max(range(len(traced.hidden)), key=traced.n_steps)
    folder.save_figure(over_time(traced, title, longest), "over_time.png")
