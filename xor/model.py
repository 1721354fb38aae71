"""The perceptron 2-H-1, S of them side by side, and the weights that need no training."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from xor.recipes import Recipe
from xor.tasks import XorError, grid

SPREAD = 0.2  # radians, standard deviation about its diagonal of a dividing line's direction


class MLP(nn.Module):
    """S independent networks 2-H-1 whose units are all sigmoids, or all steps (1 if >= 0 else 0):
    hid_weight (S, H, 2), hid_bias (S, H), out_weight (S, H), out_bias (S,). The hidden activations
    of the last forward pass are kept in `hidden` (S, N, H)."""

    def __init__(self, hid_weight, hid_bias, out_weight, out_bias, act="sig"):
        super().__init__()
        if act not in ("sig", "step"):
            raise XorError(f"the activation is sig or step, not {act!r}")
        self.act = act
        self.hid_weight = nn.Parameter(hid_weight)
        self.hid_bias = nn.Parameter(hid_bias)
        self.out_weight = nn.Parameter(out_weight)
        self.out_bias = nn.Parameter(out_bias)
        self.n_networks, self.n_hidden = hid_bias.shape
        self.hidden = None

    def activate(self, net_input):
        if self.act == "sig":
            return torch.sigmoid(net_input)
        return (net_input >= 0).to(net_input.dtype)

    def logits(self, inputs):
        """The output units' net input (S, N) for inputs (N, 2)."""
        # One layer of S * H units is much faster than S products of tiny matrices.
        net_input = linear(inputs, self.hid_weight.flatten(0, 1), self.hid_bias.flatten())
        hidden = self.activate(net_input)  # (N, S * H)
        hidden = hidden.unflatten(1, self.hid_bias.shape)  # (N, S, H)
        self.hidden = hidden.transpose(0, 1)
        return ((hidden * self.out_weight).sum(-1) + self.out_bias).T

    def forward(self, inputs):
        """The outputs (S, N) for inputs (N, 2): P(target = 1) for sigmoids, 0 or 1 for steps."""
        return self.activate(self.logits(inputs))

    @torch.no_grad()
    def backpropagate(self, inputs, targets):
        """Give every parameter the gradient (`.grad`) of its network's loss; the logits (S, N). The
        chain rule written out: what autograd finds, in a third of its time on networks so small.
        Sigmoid units only."""
        logits = self.logits(inputs)  # (S, N)
        hidden = self.hidden.transpose(0, 1)  # (N, S, H)
        error = (torch.sigmoid(logits) - targets).T / len(targets)  # (N, S) dloss / dlogits
        d_out = hidden * error[..., None]  # (N, S, H)
        d_net_input = d_out * (1 - hidden) * self.out_weight  # (N, S, H)
        self.out_bias.grad = error.sum(0)
        self.out_weight.grad = d_out.sum(0)
        self.hid_bias.grad = d_net_input.sum(0)
        self.hid_weight.grad = (d_net_input.flatten(1).T @ inputs).view_as(self.hid_weight)
        return logits

    def network(self, s):
        """Network s by itself (S = 1), a copy."""
        return self.subset(torch.tensor([s]))

    def subset(self, chosen):
        """The chosen networks (a tensor of indices or a mask over S), copied."""
        return MLP(*(weight.data[chosen].clone() for weight in self.parameters()), act=self.act)

    def moved(self, middle):
        """These networks for inputs from which `middle` has been subtracted, a copy."""
        weight, bias, *output = (weight.data.clone() for weight in self.parameters())
        return MLP(weight, bias + middle * weight.sum(-1), *output, act=self.act)


def points_right(logits, targets):
    """Whether each point is on its side (..., S, N); the output is 1 from a net input of 0 on."""
    return (logits >= 0) == (targets > 0.5)


def losses(logits, targets):
    """Mean binary cross-entropy of each network, in nats (..., S), of logits (..., S, N)."""
    wanted = targets.expand_as(logits)
    return binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(-1)


def random_networks(seeds, n_hidden, size, init=Recipe.init):
    """One sigmoid network per seed; a network depends on its own seed and on no other.

    Each hidden unit's dividing line passes through a random point of the square [0, size-1]^2, so
    that no unit starts where it cannot tell the points apart. Its steepest direction, of slope
    `init`, is that of the network, one of the four diagonals drawn at random, give or take SPREAD
    (normal): the lines start nearly parallel and sort themselves along it. Output weights are
    half-normal with alternating signs, the output bias is 0.
    """
    parts, signs = [], 1 - 2 * (torch.arange(n_hidden) % 2)  # + - + - (H,)
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        diagonal = (torch.randint(4, (), generator=generator) + 0.5) * torch.pi / 2
        angle = diagonal + SPREAD * torch.randn(n_hidden, generator=generator)  # (H,)
        point = torch.rand(n_hidden, 2, generator=generator) * (size - 1)  # (H, 2)
        weight = init * torch.stack([angle.cos(), angle.sin()], dim=1)  # (H, 2)
        bias = -(weight * point).sum(1)  # (H,)
        out_weight = torch.randn(n_hidden, generator=generator).abs() * signs
        parts.append((weight, bias, out_weight, torch.zeros(())))
    return MLP(*(torch.stack(part) for part in zip(*parts, strict=True)))


def units_needed(size):
    """Hidden units of the hand-set network: the lines between the diagonals x + y = 0..2(m-1)."""
    return 2 * (size - 1)


def hand_set(size, n_hidden=None, act="step", scale=1.0):
    """The network that solves the m x m checkerboard without training, m = size.

    The target depends on d = x + y alone, which takes the values 0..2(m-1). Hidden unit
    k = 1..2(m-1) fires at d >= k - 1/2: its weights are (1, 1), its bias is 1/2 - k. So at diagonal
    d the first d units fire, and with weights + - + - ... and a bias of -1/2 the output fires for
    odd d. Every net input is at least 1/2 away from 0; for sigmoid units, which need weights that
    saturate them, all are multiplied by `scale`. Further units of n_hidden get weights of zero.
    Raises XorError if n_hidden is too small or scale too large.
    """
    needed = units_needed(size)
    n_hidden = needed if n_hidden is None else n_hidden
    if n_hidden < needed:
        raise XorError(
            f"the hand-set network for the {size} x {size} grid needs {needed} hidden units, "
            f"one between each two neighbouring diagonals; --hid is {n_hidden}"
        )
    k = torch.arange(1, n_hidden + 1)
    used = k <= needed
    hid_weight = used.float()[:, None].repeat(1, 2)  # (H, 2)
    hid_bias = torch.where(used, 0.5 - k, 0.0)
    out_weight = torch.where(used, 2.0 * (k % 2) - 1, 0.0)
    parts = hid_weight, hid_bias, out_weight, torch.tensor(-0.5)
    network = MLP(*(scale * part[None] for part in parts), act=act)
    if not bool(network.logits(grid(size)[0]).isfinite().all()):
        raise XorError(f"weights scaled by {scale:g} overflow: choose a smaller --scale")
    return network
