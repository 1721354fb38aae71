"""The recurrence over time, for S networks at once, with its backward pass written out.

Autograd would record a dozen small operations per time step. Here everything that does not depend
on the previous step is done before or after the loop, and the loop keeps only what must come one
after another. Layout inside: (T, S, units, B), so that each step is one contiguous block, and
each gate of it a contiguous block per network. tests/test_anbn_models.py checks both passes
against torch.nn.RNN, torch.nn.LSTM and finite differences.
"""

import torch


class SRNScan(torch.autograd.Function):
    """hidden_t = tanh(x_t + hidden_{t-1} U): x (T, S, H, B), U (S, H, H), start (S, H, B) ->
    hidden (T, S, H, B)."""

    @staticmethod
    def forward(ctx, x, U, start):
        hidden = x.clone()
        across = U.mT.contiguous()  # (S, H, H): row = receiving unit
        h = start
        for step in hidden.unbind(0):
            h = step.baddbmm_(across, h).tanh_()
        ctx.save_for_backward(hidden, U, start)
        return hidden

    @staticmethod
    def backward(ctx, grad):
        hidden, U, start = ctx.saved_tensors
        slope = 1 - hidden.square()
        d_x = torch.empty_like(hidden)
        later = None
        steps = zip(grad.unbind(0), slope.unbind(0), d_x.unbind(0), strict=True)
        for d_hidden, factor, out in reversed(list(steps)):
            if later is not None:
                d_hidden = torch.baddbmm(d_hidden, U, later)
            later = torch.mul(d_hidden, factor, out=out)
        return d_x, _d_recurrent(hidden, start, d_x), U @ later


class LSTMScan(torch.autograd.Function):
    """The LSTM of Hochreiter & Schmidhuber (1997) with forget gates (Gers et al. 2000):

        i, f, o = sigmoid(x + hidden U) of their rows, g = tanh(...)
        cell_t = f * cell_{t-1} + i * g        hidden_t = o * tanh(cell_t)

    x (T, S, 4H, B) with rows in the order i, f, g, o; U (S, H, 4H); start_hidden and start_cell
    (S, H, B). Returns hidden (T, S, H, B), cell (T, S, H, B), gates (T, S, 4H, B); gradients flow
    through hidden alone.
    """

    @staticmethod
    def forward(ctx, x, U, start_hidden, start_cell):
        n_hidden = U.shape[1]
        gates = x.clone()
        cell = torch.empty_like(start_cell.expand(x.shape[0], *start_cell.shape).contiguous())
        squashed, hidden = torch.empty_like(cell), torch.empty_like(cell)
        across = U.mT.contiguous()  # (S, 4H, H)
        i_f, i, f, g, o = (
            gates[:, :, a * n_hidden : b * n_hidden].unbind(0)
            for a, b in ((0, 2), (0, 1), (1, 2), (2, 3), (3, 4))
        )
        h, c = start_hidden, start_cell
        for t, (step, c_out, tanh_c, h_out) in enumerate(
            zip(gates.unbind(0), cell.unbind(0), squashed.unbind(0), hidden.unbind(0), strict=True)
        ):
            step.baddbmm_(across, h)
            i_f[t].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            c = torch.mul(f[t], c, out=c_out).addcmul_(i[t], g[t])
            h = torch.mul(o[t], torch.tanh(c, out=tanh_c), out=h_out)
        ctx.save_for_backward(U, start_hidden, start_cell, gates, cell, squashed, hidden)
        ctx.mark_non_differentiable(cell, gates)
        return hidden, cell, gates

    @staticmethod
    def backward(ctx, grad, _cell, _gates):
        U, start_hidden, start_cell, gates, cell, squashed, hidden = ctx.saved_tensors
        n_steps, n_networks, _, n_batch = gates.shape
        n_hidden = U.shape[1]
        i, f, g, o = gates.view(n_steps, n_networks, 4, n_hidden, n_batch).unbind(2)
        before = torch.cat([start_cell[None], cell[:-1]])
        # what a change of the cell does to the pre-activations of i, f, g; of hidden to o's
        from_cell = torch.stack([g * i * (1 - i), before * f * (1 - f), i * (1 - g.square())], 2)
        from_hidden = squashed * o * (1 - o)
        to_cell = o * (1 - squashed.square())
        d_x = torch.empty_like(gates)
        rows = d_x.view(n_steps, n_networks, 4, n_hidden, n_batch)
        later, carry = None, torch.zeros_like(start_cell)
        for t in range(n_steps - 1, -1, -1):
            d_hidden = grad[t] if later is None else torch.baddbmm(grad[t], U, later)
            d_cell = torch.addcmul(carry, d_hidden, to_cell[t])
            torch.mul(from_cell[t], d_cell[:, None], out=rows[t, :, :3])
            torch.mul(from_hidden[t], d_hidden, out=rows[t, :, 3])
            carry = d_cell * f[t]
            later = d_x[t]
        return d_x, _d_recurrent(hidden, start_hidden, d_x), U @ later, carry


def _d_recurrent(hidden, start, d_x):
    """Gradient of U: sum over steps and sequences of hidden_{t-1} times d_x_t. (S, H, G)"""
    before = torch.cat([start[None], hidden[:-1]])
    return torch.einsum("tshb,tsgb->shg", before, d_x)
