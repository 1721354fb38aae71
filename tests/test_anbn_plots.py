"""Figures: under whatever settings they are drawn, with labels clear of each other, on the page."""

import warnings
from itertools import combinations

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.patches import FancyArrowPatch
from PIL import Image

from anbn.analysis.diagnosis import diagnose
from anbn.analysis.extract import extract
from anbn.analysis.summary import analyse
from anbn.catalogue import named
from anbn.evaluate import evaluate
from anbn.handset import handset
from anbn.models import LSTM, SRN
from anbn.networks import Networks
from anbn.plots import animation, counts, machine, style, traces, training
from anbn.reach import first_failing_n, learned_counts
from anbn.trace import trace

NETWORKS = {
    "anbn SRN 2": ("anbn", False, SRN, 2),
    "anbncn LSTM 3": ("anbncn", False, LSTM, 3),
    "anbn SRN 1": ("anbn", False, SRN, 1),
    "anbn SRN 20": ("anbn", False, SRN, 20),
    "reber LSTM 12": ("reber", False, LSTM, 12),
}


def everything(name, embed, kind, n_hidden):
    """The Analysis of an untrained network, and the figures of its trace."""
    language = named(name, embed, length=4)
    model = kind(language.n_symbols, n_hidden, seeds=[1], init=0.8)
    generator = torch.Generator().manual_seed(0)
    traced = trace(model, 0, language, language.fresh(6, generator))
    evaluation = evaluate(model, language, generator, n_most=30)
    found = analyse(model, language, traced, evaluation, "a title")
    return found, traces.figures(traced, "a title", model) | found.figures


@pytest.mark.parametrize("name", NETWORKS)
def test_every_figure_of_a_network_is_drawn_without_a_warning(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions warn of each other
        found, figures = everything(*NETWORKS[name])
        for file, figure in figures.items():
            figure.savefig(tmp_path / file, dpi=40)
    assert found.lines[-1].endswith(".") and "How it does it" in found.lines
    assert len(found.content["machine"]) == 2 and "machine.dot" in found.files
    assert ("phase_portraits.png" in figures) == (name in ("anbn SRN 2", "anbn SRN 20"))
    assert ("cell_changes.png" in figures) == ("LSTM" in name)
    assert ("learned_count.png" in figures) == ("reber" not in name)
    for figure in figures.values():
        assert figure.get_suptitle().startswith("a title")


def test_inherited_settings_do_not_matter(tmp_path):
    losses = [[1.0], [0.5]]
    plain = training.learning([1000, 2000], losses, [True], 0.1, "t")
    plain.savefig(tmp_path / "plain.png", dpi=50)
    with matplotlib.rc_context({"text.usetex": True, "lines.linewidth": 9, "font.size": 30}):
        figure = training.learning([1000, 2000], losses, [True], 0.1, "t")
        figure.canvas.draw()
        assert not figure._suptitle.get_usetex()
        figure.savefig(tmp_path / "other.png", dpi=50)
        assert matplotlib.rcParams["font.size"] == 30  # and stays as it was
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "other.png").read_bytes()


def test_labels_are_placed_clear_of_each_other():
    figure = style.Figure("t", 6, 5)
    ax = figure.add_subplot()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    figure.draw_without_rendering()
    points = 0.5 + 0.02 * np.random.default_rng(0).normal(size=(12, 2))
    style.place_labels(ax, [(f"{k}", point) for k, point in enumerate(points)])
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(one.overlaps(two) for one, two in combinations(boxes, 2))
    for box in boxes:
        assert not any(box.contains(*at) for at in ax.transData.transform(points))


def test_regions_are_named_where_they_are():
    figure = style.Figure("t", 6, 5)
    ax = figure.add_subplot()
    ax.set(xlim=(0, 2), ylim=(-1, 1))
    crowded = np.random.default_rng(0).uniform((1, -1), (2, 0), (200, 2))
    style.draw_regions(ax, lambda at: (at[:, 0] > 1).astype(int), "LR", crowded)
    left, right = ax.texts
    assert left.get_text() == "next: L" and left.get_position()[0] < 0.8
    assert right.get_position()[0] > 1.2 and right.get_position()[1] > 0


@pytest.mark.parametrize("name", ["anbn", "anb2nc3n", "anbncn"])
def test_arrows_of_a_machine_stay_on_the_page_and_clear_of_other_states(name):
    language = named(name, length=4)
    found = extract(handset(language), language)
    ax = machine.draw_machine(found, language, "t").axes[0]
    circles = {tuple(p.center): p for p in ax.patches if not isinstance(p, FancyArrowPatch)}
    places = np.array(list(circles))
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    paths = [p.get_path() for p in ax.patches if isinstance(p, FancyArrowPatch)]
    arrows = [path.vertices[path.codes != path.CLOSEPOLY] for path in paths]
    crossing = 0
    for way in arrows:
        assert (way >= (left, top)).all() and (way <= (right, bottom)).all()
        near = np.linalg.norm(way[3:-3, None] - places, axis=-1) < machine.RADIUS
        crossing += near.any()
    assert len(arrows) >= found.n_states - 1 and crossing == 0


def test_start_is_written_where_no_other_state_is(monkeypatch):
    language = named("anbn", length=4)
    found = extract(handset(language), language)
    row = np.array([(-0.95 * n, 0.1 * n) for n in range(found.n_states)])  # all to the left
    monkeypatch.setattr(machine, "_by_distance", lambda _: row)
    ax = machine.draw_machine(found, language, "t").axes[0]
    (label,) = [text for text in ax.texts if text.get_text() == "start"]
    at = np.array(label.get_position())
    assert np.linalg.norm(row - at, axis=1).min() > 2 * machine.RADIUS
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left <= at[0] <= right and top <= at[1] <= bottom


def test_first_failure_marks_the_step_beside_the_string_before():
    language = named("anbn", length=4)
    model = SRN(2, 2, seeds=[1], init=1.0)
    n = int(first_failing_n(model, language, 50)[0])
    found = diagnose(model, language, n, 50)
    figure = counts.first_failure(model, language, found, "t")
    last = figure.axes[1 if n > 1 else 0]
    (band,) = [patch for patch in last.patches]
    assert last.get_title() == f"n = {n}: wrong"
    (left, _), (right, _) = band.get_extents().transformed(last.transData.inverted()).get_points()
    at = round((left + right) / 2, 6)
    assert at == n * "AB".index(found.failure.letter) + found.failure.read - 1
    assert f"{found.failure.predicted} is predicted" in figure.get_suptitle()


def test_learned_count_shows_letters_line_and_right_number():
    language = named("anb2n", length=4)
    figure = counts.learned_count(learned_counts(handset(language), language), "t")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["B given", "2.00 n +0.00, at most 0.00 off", "right: 2n"]
    given = figure.axes[0].lines[0]
    assert (given.get_ydata() == 2 * given.get_xdata()).all()


def test_learned_count_of_more_letters_than_there_are_markers():
    language = named("anbncndnenfngnhninjnknlnmnnn", length=2)
    figure = counts.learned_count(learned_counts(handset(language), language), "t")
    figure.draw_without_rendering()
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {f"{letter} given" for letter in "BCDEFGHIJKLMN"} <= texts


@pytest.mark.parametrize(("name", "kind"), [("anbmcmdn", LSTM), ("dyck2", SRN)])
def test_pairs_and_stacks(name, kind, tmp_path):
    """The figures of languages with two numbers, and of several counters all others too."""
    language = named(name, length=4)
    model = kind(4, 3, seeds=[0, 1], init=0.8)
    evaluation = evaluate(model, language, torch.Generator().manual_seed(0), n_most=3)
    networks = Networks(model, language, seeds=[0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        made = training.figures(networks, evaluation, 0.01)
        if kind is LSTM:
            made |= everything(name, False, kind, 3)[1]
        for file, figure in made.items():
            figure.savefig(tmp_path / file, dpi=40)
    assert "map.png" in made and ("machine.png" in made) == (kind is LSTM)
    assert ("stack.png" in made) == (name == "dyck2") and "learned_count.png" not in made
    every, best = made["map.png"].axes[:2]
    right = evaluation.grid_right.double()
    assert np.array_equal(every.images[0].get_array(), 100 * right.mean(0).T)
    assert np.array_equal(best.images[0].get_array(), 100 * right[evaluation.best].T)
    assert every.get_xlabel() == language.axes[0] and every.get_ylabel() == language.axes[1]


def frames_of(content, path):
    path.write_bytes(content)
    return Image.open(path)


@pytest.mark.parametrize(("kind", "n_hidden"), [(SRN, 1), (SRN, 2), (LSTM, 3)])
def test_moving_pictures(kind, n_hidden, tmp_path):
    """A frame for each symbol read; one for each trace, and the last one stays."""
    language = named("anbn", length=3)
    model = kind(2, n_hidden, seeds=[0, 1])
    strings = language.strings(torch.tensor([3, 1]))
    traced = [trace(model, s, language, strings) for s in (0, 1)]
    read = animation.reading(traced[0], extract(model.select(0), language), "a title")
    picture = frames_of(read, tmp_path / "reading.gif")
    assert picture.n_frames == 6 and len(read) < 2e6
    shown = []
    for frame in range(picture.n_frames):
        picture.seek(frame)
        shown.append(np.asarray(picture.convert("L")))
    assert all((one != two).any() for one, two in combinations(shown, 2))
    learned = animation.training(traced, [0, 1000], "a title")
    picture = frames_of(learned, tmp_path / "training.gif")
    assert picture.n_frames in (2, 4) and len(learned) < 2e6  # equal frames may be joined
