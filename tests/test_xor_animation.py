"""Moving pictures: the networks in them against the training they are of, and the file."""

import io

import torch
from PIL import Image

from xor import animation
from xor.animation import N_FRAMES, learning, train_again
from xor.model import random_networks
from xor.recipes import default_recipe
from xor.tasks import grid
from xor.train import train


def test_networks_are_those_of_the_epochs():
    inputs, targets = grid(5)
    recipe = default_recipe(5, restarts=1)
    networks = train_again(3, 8, 5, recipe, 250)
    epochs = list(networks)
    assert epochs[:5] == [1, 2, 3, 4, 5] and epochs[-1] == 250 and 40 <= len(epochs) <= N_FRAMES
    records = train(random_networks([3], 8, 5), inputs, targets, recipe)
    for _, record in zip(range(250), records, strict=False):
        if record.epoch in networks:
            logits = networks[record.epoch].logits(inputs).detach()
            torch.testing.assert_close(logits, record.logits, rtol=1e-4, atol=1e-4)


def test_training_that_stops_before_ends_where_it_stops():
    networks = train_again(1, 3, 2, default_recipe(2, hold=50), 4000)
    assert list(networks)[-1] % 100 == 0 and list(networks)[-1] < 4000


def test_a_frame_per_network():
    networks = train_again(0, 4, 3, default_recipe(3), 3)
    picture = Image.open(io.BytesIO(learning(networks, 3, "title")))
    first = picture.convert("RGB").tobytes()
    assert picture.is_animated and picture.n_frames >= len(networks) == 3
    picture.seek(picture.n_frames - 1)
    assert picture.convert("RGB").tobytes() != first


def test_the_title_stands_clear_of_the_picture(monkeypatch):
    figure = animation.figure_of(5.2, 5.8, "title")
    monkeypatch.setattr(animation, "figure_of", lambda *_: figure)
    learning(train_again(0, 4, 3, default_recipe(3), 1), 3, "title")
    title, panel = figure.texts[0], figure.axes[0]
    assert title.get_window_extent().y0 - panel.get_window_extent().y1 > 2
