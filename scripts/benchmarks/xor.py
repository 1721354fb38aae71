"""Epochs on the nine points of check with four sigmoid units: 1,000 networks side by side against
one network, nn.Sequential and torch.optim.Adam, in a plain loop. One thread each."""

import torch
from torch import nn

from benchmarks.timing import compare
from xor.model import random_networks
from xor.tasks import grid
from xor.train import Recipe, train

N_NETWORKS, N_EPOCHS = 1000, 500


def rows(rounds):
    """One row."""
    inputs, targets = grid(3)
    plain_net = nn.Sequential(nn.Linear(2, 4), nn.Sigmoid(), nn.Linear(4, 1), nn.Sigmoid())
    adam = torch.optim.Adam(plain_net.parameters(), lr=0.01)

    def baseline():
        for _ in range(N_EPOCHS):
            adam.zero_grad()
            nn.functional.binary_cross_entropy(plain_net(inputs)[:, 0], targets).backward()
            adam.step()
        return N_EPOCHS

    def ours():
        model = random_networks(range(N_NETWORKS), 4, 3)
        for _ in train(model, inputs, targets, Recipe(epochs=N_EPOCHS)):
            pass
        return N_NETWORKS * N_EPOCHS

    name = f"check, {N_NETWORKS:,} networks side by side against one"
    yield compare(name, baseline, ours, "networks x epochs", rounds)
