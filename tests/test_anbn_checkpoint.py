"""Checkpoints: what is written is read again; hints, not vetoes; broken files in one line."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from test_anbn_networks import trained
from torch import nn

from anbn import checkpoint
from anbn.analysis import explain
from anbn.catalogue import named
from anbn.checkpoint import by_name, load, newest
from anbn.handset import handset
from anbn.languages import Language
from anbn.models import LSTM, SRN
from anbn.networks import CheckpointError, Networks, pack, untrained
from anbn.networks import trained as training
from anbn.recipes import Recipe


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The content of a checkpoint, read from a file."""
    path = tmp_path_factory.mktemp("file") / "model.pt"
    torch.save(pack(trained()), path)
    return torch.load(path, weights_only=True)


def saved(content, path):
    torch.save(content, path)
    return path


def srn_state(n_symbols=2, n_hidden=2, **changes):
    """A coursework checkpoint: the state dict of one SRN."""
    shapes = SRN.shapes(n_symbols, n_hidden)
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return state | changes


def lstm_state(n_symbols=2, n_hidden=2):
    return LSTM(n_symbols, n_hidden).network_state(0)


# ---- what is written is read again


@pytest.mark.parametrize("optimizer", ["rotated", "adam", "sgd"])
@pytest.mark.parametrize("kind", ["srn", "lstm"])
def test_what_is_packed_is_loaded_again(kind, optimizer, tmp_path):
    networks = trained(kind, optimizer=optimizer)
    networks.best = 1
    found = load(saved(pack(networks), tmp_path / "model.pt"))
    for name, value in networks.model.named_parameters():
        assert torch.equal(getattr(found.model, name), value)
    assert (found.language.name, found.language.length) == ("anbn", 8)
    assert (found.best, found.seeds, found.sequences) == (1, [0, 1], 32)
    assert found.recipe == networks.recipe and not found.hand_set and found.notes == []
    assert [row[0] for row in found.history] == [16, 32]
    for (_, *old), (_, *new) in zip(networks.history, found.history, strict=True):
        assert new == [pytest.approx(part, rel=1e-12) for part in old]
    assert found.optimizer.keys() == networks.optimizer.keys()
    assert all(torch.equal(v, networks.optimizer[k]) for k, v in found.optimizer.items())


def test_training_goes_on_from_a_file_as_if_it_had_not_stopped(tmp_path):
    recipe = Recipe(n_sequences=64, batch_size=8)
    half, whole = training(untrained(named("anbn"), "srn", 2, [4, 5], recipe), report_every=32)
    found = load(saved(pack(half), tmp_path / "half.pth"))
    (rest,) = training(found, report_every=32)
    assert (half.sequences, rest.sequences) == (32, 64)
    for name, value in whole.model.named_parameters():
        assert torch.equal(getattr(rest.model, name), value)
        assert not torch.equal(getattr(half.model, name), value)
    assert rest.history == whole.history and len(rest.history) == 2


# ---- bare state dicts, as other people have them


class CourseworkSRN(nn.Module):
    """The module whose state dict the coursework's scripts save."""

    def __init__(self, n_symbols, n_hidden):
        super().__init__()
        self.H0 = nn.Parameter(0.3 * torch.randn(n_hidden))
        self.W = nn.Parameter(torch.randn(n_symbols, n_hidden))
        self.U = nn.Parameter(torch.randn(n_hidden, n_hidden))
        self.hid_bias = nn.Parameter(torch.randn(n_hidden))
        self.V = nn.Parameter(torch.randn(n_hidden, n_symbols))
        self.out_bias = nn.Parameter(torch.randn(n_symbols))

    def forward(self, symbols):
        hidden, logits = self.H0.tanh(), []
        for symbol in symbols:
            hidden = torch.tanh(self.W[symbol] + hidden @ self.U + self.hid_bias)
            logits.append(hidden @ self.V + self.out_bias)
        return torch.stack(logits)


def test_a_coursework_checkpoint_computes_what_its_module_does(tmp_path):
    torch.manual_seed(0)
    module = CourseworkSRN(3, 4)
    networks = load(saved(module.state_dict(), tmp_path / "anbncn_srn4_50.pth"))
    assert networks.language.name == "anbncn" and networks.sequences == 50_000
    assert (networks.best, networks.seeds, networks.recipe, networks.notes) == (0, [0], None, [])
    read = torch.tensor([0, 0, 1, 1, 2, 2, 0])
    logits = networks.model.double()(read[None]).logits[0, 0]
    torch.testing.assert_close(logits, module.double()(read), rtol=0, atol=1e-10)


def test_the_old_file_format_is_read(tmp_path):
    path = tmp_path / "anbn_lstm2_7.5.pth"
    torch.save(lstm_state(), path, _use_new_zipfile_serialization=False)
    networks = load(path)
    assert networks.model.kind == "lstm" and networks.sequences == 7500


def test_the_state_dict_of_one_of_our_ensembles(tmp_path):
    networks = load(saved(SRN(2, 2, seeds=[3, 4, 5]).state_dict(), tmp_path / "anbn.pth"))
    assert networks.model.n_networks == 3 and networks.best is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_other_number_formats_are_converted_with_a_note(dtype, tmp_path):
    state = {name: value.to(dtype) for name, value in srn_state().items()}
    networks = load(saved(state, tmp_path / "anbn_srn2_1.pth"))
    assert networks.model.U.dtype == torch.float32
    assert networks.notes == [f"stored in {dtype}, read in float32"]


@pytest.mark.parametrize(
    "name, lang, embed, model, hid",
    [
        ("anb2n_srn2_50", "anb2n", None, "srn", 2),
        ("best_anbn_srn2_100", "anbn", None, "srn", 2),
        ("reber_embedded_lstm4_50", "reber", True, "lstm", 4),
        ("anb2n_srn2_1.2.3", "anb2n", None, "srn", 2),
        ("LSTM-anb2nc3n", "anb2nc3n", None, "lstm", None),
        ("final", None, None, None, None),
        ("banbnx_srnn2", None, None, None, None),
    ],
)
def test_what_a_name_says(name, lang, embed, model, hid):
    found = by_name(Path("net") / f"{name}.pth")
    assert (found.lang, found.embed, found.model, found.hid) == (lang, embed, model, hid)


def test_names_and_options_are_hints(tmp_path):
    path = saved(srn_state(), tmp_path / "best_anbn_srn2_100.pth")
    assert load(path).notes == [] and load(path, lang="anbn").sequences == 100_000
    other = load(path, lang="anb2n")
    assert other.language.name == "anb2n" and "not anbn" in other.notes[0]
    nameless = saved(srn_state(), tmp_path / "final.pth")
    assert load(nameless, lang="anbn", length=3).language.length == 3
    assert load(nameless, lang=named("anb3n")).language.name == "anb3n"
    with pytest.raises(CheckpointError, match="add --lang"):
        load(nameless)
    (tmp_path / "anbn").mkdir()
    assert load(saved(srn_state(), tmp_path / "anbn" / "x.pth")).language.name == "anbn"


def test_a_name_that_says_another_kind_or_size_gets_a_note(tmp_path):
    path = saved(srn_state(), tmp_path / "anbn_lstm3_5.pth")
    assert load(path).notes == [
        "its name says lstm, but the weights are those of an srn",
        "its name says 3 hidden units, but there are 2",
    ]
    path = saved(srn_state(), tmp_path / "anbn_srn2_5.pth")
    assert load(path, model="srn", hid=2).notes == []
    assert load(path, model="lstm", hid=5).notes == [
        "the options say lstm, but the weights are those of an srn",
        "the options say 5 hidden units, but there are 2",
    ]


def test_our_own_file_under_another_language_or_length(packed, tmp_path):
    path = saved(packed, tmp_path / "model.pt")
    found = load(path, length=3)
    assert found.language.length == 3 and "--length 3" in found.notes[0]
    assert load(path, lang="anb2n").language.name == "anb2n"
    assert load(path, lang="anbn").notes == []
    with pytest.raises(CheckpointError, match="reads 2 symbols, and anbncn has 3"):
        load(path, lang="anbncn")
    with pytest.raises(CheckpointError, match="unknown language"):
        load(path, lang="abc")


class Separated(Language):
    """A language that no name stands for: n=2: A A S B B."""

    name, symbols = "ansbn", "ABS"

    def word(self, n):
        return "A" * n + "S" + "B" * n


def test_networks_of_a_language_of_ones_own(tmp_path):
    language = Separated(3)
    networks = untrained(language, "srn", 2, [0], Recipe(n_sequences=8))
    path = saved(pack(networks), tmp_path / "model.pt")
    for place in (path, tmp_path):
        found = load(place, lang=language)
        assert found.language is language and found.notes == []
    with pytest.raises(CheckpointError, match="unknown language 'ansbn'"):
        load(path)


def test_the_length_of_a_language_in_a_file_is_the_stored_one(tmp_path):
    """A class need not take one: then it is what the class says."""
    file = tmp_path / "own.py"
    word = 'def word(self, n):\n        return "A" * n + "B" * n\n'
    fixed = "def __init__(self):\n        super().__init__(6)\n"
    body = "from anbn.languages import Language\n\n\nclass Own(Language):\n"
    for methods, length, found in ((word, 3, 3), (f"{word}\n    {fixed}", None, 6)):
        file.write_text(f'{body}    name, symbols = "own", "AB"\n\n    {methods}')
        networks = untrained(named(str(file), length=length), "srn", 2, [0], Recipe(n_sequences=8))
        path = saved(pack(networks), tmp_path / "model.pt")
        assert load(path, lang=str(file)).language.length == found


@pytest.mark.parametrize("embed", [False, True])
def test_the_likelier_grammar_is_taken_where_nobody_says(embed, tmp_path):
    language, recipe = named("reber", embed), Recipe(n_sequences=800, learning_rate=0.05)
    *_, networks = training(untrained(language, "srn", 4, [0], recipe))
    state = networks.model.network_state(0)
    path = saved(state, tmp_path / "reber_srn4_1.pth")
    found = load(path)
    assert found.language.embed is embed
    assert found.notes == [
        f"read as {language.title}, the likelier by its excess cross-entropy; --embed True or "
        "--embed False says which it is"
    ]
    for said in (False, True):
        told = load(path, embed=said)
        assert told.language.embed is said and told.notes == []
    named_so = saved(state, tmp_path / "reber_embedded_srn4_1.pth")
    assert load(named_so).language.embed is True and load(named_so).notes == []


# ---- folders


def folder_of(tmp_path, *thousands):
    for k in thousands:
        torch.save(after(1000 * k), tmp_path / f"anbn_srn2_{k}.pth")
    return tmp_path


def after(sequences):
    """A checkpoint that says so, of a network whose training is not known."""
    return pack(trained(n_networks=1)) | {
        "sequences": sequences,
        "recipe": None,
        "optimizer": None,
    }


def test_the_newest_is_the_one_with_most_sequences_inside(tmp_path):
    folder = folder_of(tmp_path, 9, 10, 100)
    os.utime(folder / "anbn_srn2_9.pth", (2e9, 2e9))  # copied last, or the clock was set back
    os.utime(folder / "anbn_srn2_100.pth", (1, 1))
    assert newest(folder) == (folder / "anbn_srn2_100.pth", [])
    shutil.copy(folder / "anbn_srn2_100.pth", folder / "model.pt")
    assert newest(folder)[0].name == "model.pt"
    torch.save(pack(trained()), folder / "model.pt")  # that of a run stopped much earlier
    assert newest(folder)[0].name == "anbn_srn2_100.pth"
    assert load(folder).sequences == 100_000


def test_the_nearest_epoch_is_taken_and_told(tmp_path):
    folder = folder_of(tmp_path, 10, 20, 24)
    assert newest(folder, 20) == (folder / "anbn_srn2_20.pth", [])
    path, (note,) = newest(folder, 0)
    assert path.name == "anbn_srn2_10.pth" and "nearest" in note and "after 10" in note
    assert load(folder, epoch=50).notes == [
        "no checkpoint after 50 thousand sequences: the nearest is taken, after 24"
    ]
    torch.save(after(31_992), folder / "anbn_srn2_32.pth")
    assert newest(folder, 32) == (folder / "anbn_srn2_32.pth", [])  # whole updates of 24


def test_networks_of_other_processes_are_told(tmp_path):
    folder = folder_of(tmp_path, 10)
    torch.save(after(20_000), folder / "process1_model.pt")
    torch.save(after(20_000), folder / "model.pt")
    path, (note,) = newest(folder)
    assert path.name == "model.pt" and "process1_model.pt" in note
    torch.save(after(21_000), folder / "process1_model.pt")  # it was interrupted a moment later
    assert newest(folder)[0].name == "model.pt"


def test_a_folder_of_coursework_checkpoints(tmp_path):
    for name, state in (
        ("anbn_srn2_100", srn_state()),
        ("reber_srn2_0", srn_state(7)),
        ("reber_srn2_50", srn_state(7)),
        ("reber_lstm4_60", lstm_state(7, 4)),
    ):
        torch.save(state, tmp_path / f"{name}.pth")
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    assert load(tmp_path, lang="reber", embed=False, epoch=50).sequences == 50_000
    assert load(tmp_path, lang="reber", embed=False, epoch=0).sequences == 0
    found = load(tmp_path, lang="reber", embed=True, model="lstm")
    assert found.model.n_hidden == 4 and "broken.pth is no checkpoint" in found.notes[0]
    with pytest.raises(CheckpointError, match="is of lang anb2n; there are anbn_srn2_100.pth"):
        load(tmp_path, lang="anb2n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint in .*empty"):
        load(tmp_path / "empty")


# ---- files that hold no networks


def without(content, name):
    return {key: value for key, value in content.items() if key != name}


class Code:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


NAN = torch.full((2, 2, 2), float("nan"))
BROKEN = {  # a name: what is changed in a checkpoint of two anbn SRNs
    "kind": lambda c: c | {"kind": "gru"},
    "kind a tensor": lambda c: c | {"kind": torch.zeros(2)},
    "no kind": lambda c: without(c, "kind"),
    "lstm": lambda c: c | {"kind": "lstm"},
    "no language": lambda c: without(c, "language"),
    "language a word": lambda c: c | {"language": "anbn"},
    "unknown language": lambda c: c | {"language": c["language"] | {"name": "xyz"}},
    "language of three": lambda c: c | {"language": c["language"] | {"name": "anbncn"}},
    "embedded anbn": lambda c: c | {"language": c["language"] | {"embed": True}},
    "embed a number": lambda c: c | {"language": c["language"] | {"embed": 0}},
    "length below 0": lambda c: c | {"language": c["language"] | {"length": -1}},
    "parameters a list": lambda c: c | {"parameters": [1, 2]},
    "no parameters": lambda c: c | {"parameters": {}},
    "no U": lambda c: c | {"parameters": without(c["parameters"], "U")},
    "U a list": lambda c: c | {"parameters": c["parameters"] | {"U": [[1.0]]}},
    "U flat": lambda c: c | {"parameters": c["parameters"] | {"U": torch.zeros(2)}},
    "U without networks": lambda c: c | {"parameters": c["parameters"] | {"U": NAN[:0]}},
    "NaN": lambda c: c | {"parameters": c["parameters"] | {"U": NAN}},
    "infinite": lambda c: (
        c | {"parameters": c["parameters"] | {"U": 1 / (0 * c["parameters"]["U"])}}
    ),
    "complex": lambda c: c | {"parameters": c["parameters"] | {"U": NAN.to(torch.complex64)}},
    "sparse": lambda c: c | {"parameters": c["parameters"] | {"U": torch.eye(2).to_sparse()}},
    "V of another size": lambda c: (
        c | {"parameters": c["parameters"] | {"V": torch.zeros(2, 3, 2)}}
    ),
    "too few networks": lambda c: c | {"parameters": c["parameters"] | {"V": torch.zeros(1, 2, 2)}},
    "no seeds": lambda c: without(c, "seeds"),
    "too few seeds": lambda c: c | {"seeds": [0]},
    "seeds in words": lambda c: c | {"seeds": ["a", "b"]},
    "a seed below 0": lambda c: c | {"seeds": [0, -1]},
    "a seed beyond all bounds": lambda c: c | {"seeds": [0, 10**30]},
    "best beyond": lambda c: c | {"best": 2},
    "best a fraction": lambda c: c | {"best": 0.5},
    "sequences below 0": lambda c: c | {"sequences": -5},
    "sequences of another optimizer": lambda c: c | {"sequences": 16},
    "no optimizer": lambda c: c | {"optimizer": None},
    "sequences in words": lambda c: c | {"sequences": "many"},
    "hand_set a number": lambda c: c | {"hand_set": 1},
    "recipe a list": lambda c: c | {"recipe": [1]},
    "momentum 1": lambda c: c | {"recipe": c["recipe"] | {"momentum": 1.0}},
    "batch of 0": lambda c: c | {"recipe": c["recipe"] | {"batch_size": 0}},
    "batch in words": lambda c: c | {"recipe": c["recipe"] | {"batch_size": "8"}},
    "rate NaN": lambda c: c | {"recipe": c["recipe"] | {"learning_rate": float("nan")}},
    "unknown optimizer": lambda c: c | {"recipe": c["recipe"] | {"optimizer": "lion"}},
    "optimizer of another type": lambda c: c | {"recipe": c["recipe"] | {"optimizer": "adam"}},
    "optimizer a list": lambda c: c | {"optimizer": [1, 2]},
    "optimizer lacks one": lambda c: c | {"optimizer": without(c["optimizer"], "mean")},
    "optimizer of another size": lambda c: c | {"optimizer": c["optimizer"] | {"mean": NAN[0]}},
    "optimizer NaN": lambda c: (
        c | {"optimizer": c["optimizer"] | {"mean": float("nan") * c["optimizer"]["mean"]}}
    ),
    "history a list": lambda c: c | {"history": [1, 2]},
    "history of one network": lambda c: (
        c | {"history": c["history"] | {"loss": c["history"]["loss"][:1]}}
    ),
    "history backwards": lambda c: c | {"history": c["history"] | {"sequences": [32, 16]}},
    "history NaN": lambda c: (
        c | {"history": c["history"] | {"loss": float("nan") * c["history"]["loss"]}}
    ),
    "a list": lambda c: [1, 2],
    "another module": lambda c: nn.Linear(2, 2).state_dict(),
    "numbers as names": lambda c: {1: torch.zeros(2), "U": torch.zeros(2, 2)},
    "an entry too many": lambda c: srn_state(more=torch.zeros(2)),
    "bare, V too wide": lambda c: srn_state(V=torch.zeros(2, 5)),
    "bare, U a number": lambda c: srn_state(U=torch.tensor(1.0)),
    "bare, U text": lambda c: srn_state(U="matrix"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_told_in_one_line(name, packed, tmp_path):
    path = saved(BROKEN[name](packed), tmp_path / "anbn_srn2_1.pth")
    with pytest.raises(CheckpointError) as told:
        load(path)
    text = str(told.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 400


def test_files_of_another_kind(packed, tmp_path):
    path = tmp_path / "model.pt"
    whole = saved(packed, path).read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[:-100]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="no checkpoint"):
            load(path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load(tmp_path / "nothing.pt")
    os.mkfifo(tmp_path / "fifo.pt")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load(tmp_path / "fifo.pt")


def test_code_in_a_file_is_not_run(tmp_path):
    path = saved({"parameters": Code(tmp_path / "made")}, tmp_path / "anbn_srn2_1.pth")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load(path)
    assert not (tmp_path / "made").exists()


def test_another_versions_recipe_can_be_looked_at_but_not_trained_further(packed, tmp_path):
    for change in ({"calibration": 0.5}, {"noise": None}):
        recipe = {k: v for k, v in (packed["recipe"] | change).items() if v is not None}
        found = load(saved(packed | {"recipe": recipe}, tmp_path / "model.pt"))
        assert found.recipe is None and "another version" in found.notes[0]


def test_hand_set_networks_are_kept_as_such(tmp_path):
    language = named("anb2n", length=3)
    networks = Networks(handset(language), language, best=0, seeds=[0], hand_set=True)
    found = load(saved(pack(networks), tmp_path / "model.pt"))
    assert found.hand_set and found.history == [] and found.language.length == 3
    assert networks.title == "anb2n, LSTM with 2 hidden units"
    assert networks.folder_name == "anb2n_lstm2_handset"
    assert networks.file_name(10_000) == "anb2n_lstm2_10.pth"
    assert checkpoint.read(tmp_path / "model.pt")["kind"] == "lstm"


def test_two_lines_load_evaluate_and_explain_any_saved_network(tmp_path):
    path = saved(handset(named("anb2n", length=3)).network_state(0), tmp_path / "anb2n_lstm2_1.pth")
    networks = load(path, length=3)
    lines = explain(networks.model.select(networks.best or 0), networks.language, n_most=50)
    assert lines[0].startswith("Solved: 300 of 300") and "every n up to 50" in lines[1]
