"""Files of networks: read, checked, and chosen in a folder.

    networks = load("results/seq/anbn_srn2__s0__20260101-120000")   # a run folder, or a file in it
    networks = load("net/anbn_srn2_50.pth")         # the bare state dict of one SRN or LSTM
    networks = load("net", lang="reber", epoch=50)  # a folder of these
    networks.model, networks.language, networks.best

A bare state dict has the keys H0, W, U, hid_bias, V, out_bias (an LSTM no H0). Its language is the
one given to `load`, else the one in its name, {lang}_{model}{hid}_{epoch}.pth, or its folder's.
Names and options are hints: where they do not fit, a note tells so.
"""

import contextlib
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from anbn.catalogue import is_file, named
from anbn.evaluate import likelier
from anbn.languages import LanguageError
from anbn.models import MODELS, ModelError
from anbn.networks import CheckpointError, Networks, plain_parameters, unpack, untrained
from anbn.recipes import Recipe, RecipeError

LANGUAGE = re.compile(r"(?<![a-z0-9])(reber|an(?:[b-z][1-9]?[0-9]?n)+)(?![a-z0-9])")
MODEL = re.compile(r"(?<![a-z])(srn|lstm)(\d{1,6})?(?![a-z0-9])")
EPOCH = re.compile(r"_(\d{1,9}(?:\.\d{1,6})?)$")
GIVE = "give a run folder of seq_train.py, or a file in one"


@dataclass(frozen=True)
class Hints:
    """What options, a name or a file say of networks; None where they say nothing."""

    lang: str | None = None
    embed: bool | None = None
    length: int | None = None
    model: str | None = None  # "srn" or "lstm"
    hid: int | None = None


def load(path, *, epoch=None, lang=None, embed=None, length=None, model=None, hid=None):
    """The Networks in a file; of a folder, those after `epoch` thousand sequences, or the last.

    lang (a name, or a Language), embed, length, model ("srn" or "lstm") and hid (hidden units) say
    what the file does not, and choose among the files of a folder. Raises CheckpointError, which
    names the file, if it holds no networks, or none for this language.
    """
    file = lang if isinstance(lang, str) and is_file(lang) else None
    if file:
        lang = named(file, bool(embed), length)
    language = None if isinstance(lang, str) else lang
    name = lang if language is None else language.spelling
    path, asked, notes = Path(path), Hints(name, embed, length, model, hid), []
    if path.is_dir():
        path, notes = newest(path, epoch, asked)
    content = read(path)
    try:
        thousands, said = _inside(content, path)
        whole = "parameters" in content
        if file and length is None and whole:
            stored = content["language"]["length"]
            language = language if stored == language.length else named(file, length=stored)
        networks = unpack(content, language) if whole else _bare(content, thousands)
        kind, n_hidden = networks.model.kind, networks.model.n_hidden
        notes += networks.notes
        for hints, source in ((asked, "the options say"), (said, "its name says")):
            if hints.model not in (None, kind):
                notes.append(f"{source} {hints.model}, but the weights are those of an {kind}")
            if hints.hid not in (None, n_hidden):
                notes.append(f"{source} {hints.hid} hidden units, but there are {n_hidden}")
        networks.language = _language(networks.model, asked, said, language, notes)
    except (ModelError, LanguageError, RecipeError, CheckpointError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RuntimeError):
        raise CheckpointError(f"{path} holds no recurrent networks") from None
    networks.notes = notes
    return networks


def course(path, networks):
    """The networks of a file as they were on the way: untrained, and in the other checkpoints of
    its folder. A list of Networks in the order of their training, these the last."""
    about = networks.model.kind, networks.model.n_hidden, networks.seeds
    found = {}
    if networks.recipe is not None:
        found[0] = untrained(networks.language, *about, Recipe(**networks.recipe))
    for file in sorted(Path(path).parent.glob("*.pth")):
        with contextlib.suppress(CheckpointError):
            other = load(file, lang=networks.language)
            if (other.model.kind, other.model.n_hidden, other.seeds) == about:
                found[other.sequences] = other
    found[networks.sequences] = networks
    return [found[n] for n in sorted(found) if n <= networks.sequences]


def read(path, mmap=False):
    """The dict in a file. Raises CheckpointError naming the file; code in it is never run."""
    if not Path(path).is_file():
        raise CheckpointError(f"no checkpoint {path}: {GIVE}")
    mmap = mmap and zipfile.is_zipfile(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except MemoryError:
        raise
    except Exception:  # a broken file may end in any of torch's and pickle's errors
        content = None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is no checkpoint (truncated, or of another kind): {GIVE}")
    return content


def newest(folder, epoch=None, asked=Hints()):
    """(path, notes): of a folder's checkpoints that agree with `asked`, the one with the most
    training sequences inside, or the nearest to `epoch` thousand. Raises CheckpointError if there
    is none."""
    found, others, apart, notes = [], [], [], []
    for path in sorted([*Path(folder).glob("*.pt"), *Path(folder).glob("*.pth")]):
        try:
            thousands, said = _inside(read(path, mmap=True), path)
        except CheckpointError:
            notes.append(f"{path} is no checkpoint and is left out")
            continue
        if not all(_agree(getattr(asked, name), value) for name, value in vars(said).items()):
            others.append(path.name)
            continue
        whole = not path.name.startswith("process")  # else that of a process that was lost
        apart += [] if whole else [path.name]
        found.append((thousands, (path.name == "model.pt", whole, path.stat().st_mtime), path))
    if others and not found:
        wanted = ", ".join(f"{name} {value}" for name, value in vars(asked).items() if value)
        there = ", ".join(others[:5])
        raise CheckpointError(f"no checkpoint in {folder} is of {wanted}; there are {there}")
    if not found:
        raise CheckpointError(f"no checkpoint in {folder}: {GIVE}")
    if apart and len(apart) < len(found):
        notes.append(f"{folder} holds networks of other processes besides: {', '.join(apart)}")
    if epoch is None:
        return max(found, key=lambda entry: (entry[1][1], *entry))[-1], notes
    thousands, _, path = max(found, key=lambda entry: (-abs(entry[0] - epoch), entry[1]))
    if abs(thousands - epoch) > 0.05:  # less are the sequences of an update that was not begun
        notes.append(
            f"no checkpoint after {epoch:g} thousand sequences: the nearest is taken, after "
            f"{thousands:g}"
        )
    return path, notes


def _agree(asked, said):
    """Whether what a checkpoint says may be what is asked for; a file may have been moved."""
    files = isinstance(said, str) and is_file(said) and Path(said).name == Path(asked or "").name
    return asked is None or said is None or asked == said or files


def _inside(content, path):
    """(thousands of training sequences, Hints) of what `read` has read."""
    if "parameters" in content:
        with contextlib.suppress(KeyError, TypeError, AttributeError, IndexError):
            where, hid = content["language"], content["parameters"]["U"].shape[1]
            said = Hints(where["name"], where["embed"], where["length"], content["kind"], hid)
            return content["sequences"] / 1000, said
    thousands = EPOCH.search(path.stem)
    return float(thousands[1]) if thousands else 0.0, by_name(path)


def by_name(path):
    """What a file's name says; its folder's name may say the language."""
    stem = path.stem.lower()
    lang = LANGUAGE.search(stem) or LANGUAGE.search(path.absolute().parent.name.lower())
    model = MODEL.search(stem)
    kind, hid = model.groups() if model else (None, None)
    embed = True if "embed" in stem else None
    return Hints(lang and lang[1], embed, None, kind, hid and int(hid))


def _bare(content, thousands):
    """Networks from a bare state dict, with or without the axis S; their language is not known."""
    if "U" not in content:
        needed = "W, U, hid_bias, V, out_bias (an SRN's also H0)"
        raise CheckpointError(f"no recurrent network: the keys {needed} are needed")
    notes = []
    parameters = plain_parameters(content, notes)
    if parameters["U"].dim() == 2:
        parameters = {name: value[None] for name, value in parameters.items()}
    *_, n_hidden, rows = parameters["U"].shape
    kind = "lstm" if rows == 4 * n_hidden else "srn"
    if extra := sorted(set(parameters) - set(MODELS[kind].names)):
        raise CheckpointError(f"no {kind}: {', '.join(extra)} is not part of one")
    model = MODELS[kind].from_parameters(parameters)
    best, seeds = 0 if model.n_networks == 1 else None, [0] * model.n_networks
    return Networks(model, None, best, seeds, round(1000 * thousands), notes=notes)


def _language(model, asked, said, language, notes):
    """The Language asked for, else the one that the file says; if neither says whether the grammar
    is embedded, the likelier one. language: one to be taken as it is. Adds to the notes."""
    lang = asked.lang or said.lang
    if lang is None:
        raise CheckpointError("its name does not say which language it is for; add --lang")
    if lang != said.lang:
        if said.lang is not None:
            notes.append(f"read as {lang}, as asked for, not {said.lang}")
        said = Hints()
    for name in ("embed", "length"):
        wanted, found = getattr(asked, name), getattr(said, name)
        if None not in (wanted, found) and wanted != found:
            notes.append(f"read with --{name} {wanted}, as asked for, not {found}")
    embed = said.embed if asked.embed is None else asked.embed
    length = asked.length or said.length
    languages = [language or named(lang, bool(embed), length)]
    if language is None and embed is None and lang == "reber":
        languages.append(named(lang, True, length))
    if model.n_symbols != languages[0].n_symbols:
        raise CheckpointError(
            f"a network for another language: it reads {model.n_symbols} symbols, and {lang} has "
            f"{languages[0].n_symbols}"
        )
    if len(languages) > 1:
        languages = [likelier(model, languages)]
        notes.append(
            f"read as {languages[0].title}, the likelier by its excess cross-entropy; --embed True "
            "or --embed False says which it is"
        )
    return languages[0]
