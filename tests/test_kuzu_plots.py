"""Figures: what they show, and that no setting of the user's breaks them."""

import io

import matplotlib
import numpy as np
import pytest
import torch

from kuzu import checkpoint, plots
from kuzu.confusion import Pair, confusion_matrix, most_confused
from kuzu.data import load_kana
from kuzu.models import build
from kuzu.recipes import CLASSIC
from kuzu.train import train


@pytest.fixture(scope="module")
def data():
    return load_kana(200, 100)


def trained(net, data, seeds=(0,)):
    networks = [checkpoint.new(net, 100, seed, data, CLASSIC) for seed in seeds]
    for network in networks:
        network.record(next(train(network.model, data, CLASSIC, network.seed)))
    return networks


def as_png(figure):
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


@pytest.fixture
def without_font(monkeypatch):
    plots.kana_font.cache_clear()
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    yield
    plots.kana_font.cache_clear()


def test_the_figures_of_each_network(data):
    own = {"lin": ["weights.png"], "full": [], "conv": ["filters.png"]}
    for net, more in own.items():
        drawn = dict(plots.figures(trained(net, data), data))
        shared = ["confusion.png", "learning_curves.png", "confused_pairs.png"]
        assert list(drawn) == shared + more
        for figure in drawn.values():
            texts = [t.get_text() for t in figure.findobj(matplotlib.text.Text)]
            assert any(data.title in text for text in texts)
            assert any("1 epoch, seed 0" in text for text in texts)


def test_titles_say_what_was_trained_how_long_and_on_what(data):
    networks = trained("lin", data, seeds=(0, 1))
    networks[0].history.append(networks[0].history[-1] | {"epoch": 4})  # one was interrupted
    other = load_kana(30, 100, seed=1)
    for name, figure in plots.figures(networks, other):
        texts = [t.get_text() for t in figure.findobj(matplotlib.text.Text)]
        title = next(text for text in texts if text.startswith("NetLin")).splitlines()
        alone = name == "weights.png"
        which = "4 epochs, seed 0" if alone else "1 to 4 epochs, 2 networks"
        assert title[:2] == [f"NetLin, classic recipe, {which}", data.title]
        tested = [] if alone or name == "learning_curves.png" else [f"tested on: {other.title}"]
        assert title[2:] == tested


def test_without_the_font_romaji_alone(data, without_font):
    assert plots.class_names()[9] == "wo"
    figure = plots.confusion_heatmap(torch.eye(10, dtype=torch.int64), "")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()][:2] == ["o", "ki"]
    for _, figure in plots.figures(trained("lin", data), data):
        as_png(figure)


def test_with_the_font_kana_too():
    pytest.importorskip("matplotlib_fontja")
    assert plots.class_names()[9] == "を wo"
    assert "fontja" in plots.kana_font().get_file()


def test_the_diagonal_has_a_colour_of_its_own():
    """No error, not the largest either, looks like what is read right."""
    confusion = torch.full((10, 10), 5)
    confusion.fill_diagonal_(900)
    confusion[3, 4] = 60
    image = plots.confusion_heatmap(confusion, "").axes[0].images[0]
    colours = image.to_rgba(image.get_array())[:, :, :3]  # (10, 10, 3)
    diagonal = {tuple(colours[i, i]) for i in range(10)}
    assert len(diagonal) == 1
    (red, green, blue) = diagonal.pop()
    assert red == green == blue  # grey, which the colour map has nowhere
    errors = {tuple(colours[i, j]) for i in range(10) for j in range(10) if i != j}
    assert len(errors) > 1 and (red, green, blue) not in errors


def test_the_gallery_shows_the_pairs_of_all_networks(data):
    """The pair that the table names, with the images most networks misread first."""
    labels = torch.tensor([1, 1, 1, 1, 2, 2])
    images = torch.arange(6)[:, None, None].expand(6, 28, 28).to(torch.uint8)
    predictions = torch.tensor([[1, 2, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2], [1, 1, 2, 2, 2, 2]])
    confusion = sum(confusion_matrix(labels, each) for each in predictions)
    (pair,) = most_confused(confusion)
    assert pair == Pair(1, 2, 5, 5 / 12)
    figure = plots.confused_gallery([pair], images, labels, predictions, "", n_misread=4)
    picture = figure.axes[0].images[0].get_array()  # a row of 6 tiles, 30 pixels each
    tiles = [picture[10, 30 * k + 10] for k in range(6)]
    assert tiles[:5] == [0, 4, 3, 1, 2] and tiles[5] is np.ma.masked


def test_images_in_the_tiles_are_where_they_belong():
    tiles = torch.arange(4)[:, None, None].expand(4, 3, 2).float()
    picture = plots.mosaic(tiles, columns=2, gap=1)
    assert picture.shape == (7, 5)
    assert picture[0, 0] == 0 and picture[0, 3] == 1 and picture[4, 0] == 2 and picture[6, 4] == 3
    assert picture[3].isnan().all() and picture[:, 2].isnan().all()


def test_settings_of_the_user_change_nothing(data):
    networks = trained("lin", data)
    expected = {name: as_png(figure) for name, figure in plots.figures(networks, data)}
    wild = {"text.usetex": True, "font.size": 30, "axes.facecolor": "red", "figure.dpi": 7}
    with matplotlib.rc_context(wild):
        drawn = list(plots.figures(networks, data))
    assert {name: as_png(figure) for name, figure in drawn} == expected


def test_a_folder_name_that_looks_like_mathematics():
    as_png(plots.weight_images(build("lin"), "images in $\\frac{$ (3 train / 4 test)"))


def test_a_class_without_images_is_drawn(data):
    confusion = torch.eye(10, dtype=torch.int64) * 3
    confusion[9] = 0
    as_png(plots.confusion_heatmap(confusion, ""))


@pytest.mark.parametrize("draw", [plots.weight_images, plots.first_filters])
def test_weights_are_where_they_belong(draw):
    """A weight made far larger than the others is the darkest place of its tile."""
    net, layer = ("lin", "output") if draw is plots.weight_images else ("conv", "conv1")
    model = build(net)
    with torch.no_grad():
        weights = getattr(model, layer).weight.view(-1, *((28, 28) if net == "lin" else (5, 5)))
        weights.zero_()
        weights[6, 2, 3] = 9.0
    picture = draw(model, "").axes[0].images[0].get_array()
    side, gap, columns = (28, 8, 5) if net == "lin" else (5, 2, 8)
    row, column = divmod(6, columns)
    expected = (row * (side + gap) + 2, column * (side + gap) + 3)
    place = divmod(int(picture.filled(0).argmax()), picture.shape[1])
    assert place == expected


def test_a_font_that_cannot_be_looked_for_is_none(monkeypatch):
    def hidden(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(plots, "find_spec", hidden)
    assert plots.kana_font.__wrapped__() is None
