"""The recurrence over time, for S networks at once, with its backward pass written out.

Autograd would record a dozen small operations per time step. Here a step is one batched product of
the joined weights [W + bias; U] with the joined column [one-hot symbol; hidden], and the backward
loop keeps only what must come one after another. Layout inside: (T, S, rows, B), so that a step is
one contiguous block. tests/test_anbn_models.py checks both passes against torch.nn.RNN,
torch.nn.LSTM and finite differences.
"""

import torch
from torch.ops import aten

# The backward pass prepares its factors for as many steps at a time as fit the cache.
CACHED_VALUES = 1 << 16


class SRNScan(torch.autograd.Function):
    """hidden_t = tanh([one-hot_t; hidden_{t-1}]^T joined).

    joined (S, K+H, H), symbols (T, S, B) int64, start (S, H, B) -> hidden (T, S, H, B).
    """

    @staticmethod
    def forward(ctx, joined, symbols, start):
        columns = _columns(joined, symbols, start)
        n_symbols = joined.shape[1] - joined.shape[2]
        hidden = columns[1:, :, n_symbols:]
        across = joined.mT.contiguous()
        for column, out in zip(columns[:-1].unbind(0), hidden.unbind(0), strict=True):
            torch.tanh(torch.bmm(across, column), out=out)
        ctx.save_for_backward(joined, columns)
        return hidden

    @staticmethod
    def backward(ctx, grad):
        joined, columns = ctx.saved_tensors
        n_symbols = joined.shape[1] - joined.shape[2]
        recurrent = joined[:, n_symbols:].contiguous()
        d_joined, d_row = torch.zeros_like(joined), None
        grads, hidden = grad.unbind(0), columns[1:, :, n_symbols:].unbind(0)
        for t in range(len(grads) - 1, -1, -1):
            d_hidden = grads[t] if d_row is None else torch.baddbmm(grads[t], recurrent, d_row)
            d_row = aten.tanh_backward(d_hidden, hidden[t])
            d_joined.baddbmm_(columns[t], d_row.mT)
        return d_joined, None, recurrent @ d_row


class LSTMScan(torch.autograd.Function):
    """The LSTM of Hochreiter & Schmidhuber (1997) with forget gates (Gers et al. 2000).

        i, f, o = sigmoid([one-hot; hidden_{t-1}]^T joined) of their rows, g = tanh(...)
        cell_t = f * cell_{t-1} + i * g        hidden_t = o * tanh(cell_t)

    joined (S, K+H, 4H) with columns in the order i, f, g, o; symbols (T, S, B) int64;
    start_hidden and start_cell (S, H, B). Returns hidden (T, S, H, B), cell (T, S, H, B) and
    gates (T, S, 4H, B); gradients flow through hidden alone.
    """

    @staticmethod
    def forward(ctx, joined, symbols, start_hidden, start_cell):
        columns = _columns(joined, symbols, start_hidden)
        n_steps, (n_networks, n_hidden, n_batch) = len(symbols), start_hidden.shape
        hidden = columns[1:, :, -n_hidden:]
        gates = joined.new_empty(n_steps, n_networks, 4 * n_hidden, n_batch)
        cell = joined.new_empty(n_steps + 1, n_networks, n_hidden, n_batch)
        cell[0] = start_cell
        squashed = torch.empty_like(cell[1:])  # tanh of the cell
        across = joined.mT.contiguous()
        i_f, i, f, g, o = _rows(gates, n_hidden, (0, 2), (0, 1), (1, 2), (2, 3), (3, 4))
        cells = cell.unbind(0)
        for t, (column, step, tanh_c, h) in enumerate(
            zip(columns.unbind(0), gates.unbind(0), squashed.unbind(0), hidden.unbind(0))  # noqa: B905
        ):
            torch.bmm(across, column, out=step)
            i_f[t].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            torch.mul(f[t], cells[t], out=cells[t + 1]).addcmul_(i[t], g[t])
            torch.mul(o[t], torch.tanh(cells[t + 1], out=tanh_c), out=h)
        ctx.save_for_backward(joined, columns, gates, cell, squashed)
        ctx.mark_non_differentiable(cell, gates)
        return hidden, cell[1:], gates

    @staticmethod
    def backward(ctx, grad, _cell, _gates):
        joined, columns, gates, cell, squashed = ctx.saved_tensors
        n_steps, n_networks, n_hidden, n_batch = squashed.shape
        recurrent = joined[:, -n_hidden:].contiguous()
        d_joined, d_rows = torch.zeros_like(joined), None
        carry = torch.zeros_like(squashed[0])
        grads, columns = grad.unbind(0), columns.unbind(0)
        block = max(1, CACHED_VALUES // gates[0].numel())
        for end in range(n_steps, 0, -block):
            part = slice(max(0, end - block), end)
            i, f, g, o = gates[part].unflatten(2, (4, n_hidden)).unbind(2)
            # what a change of the cell does to the pre-activations of i, f, g; of hidden to o's
            from_cell = torch.stack(
                [
                    aten.sigmoid_backward(g, i),
                    aten.sigmoid_backward(cell[part], f),
                    aten.tanh_backward(i, g),
                ],
                2,
            )  # (t, S, 3, H, B)
            from_hidden = aten.sigmoid_backward(squashed[part], o)
            to_cell = aten.tanh_backward(o, squashed[part])
            for t in range(end - 1, part.start - 1, -1):
                k = t - part.start
                d_hidden = (
                    grads[t] if d_rows is None else torch.baddbmm(grads[t], recurrent, d_rows)
                )
                d_cell = torch.addcmul(carry, d_hidden, to_cell[k])
                d_rows = torch.empty_like(gates[t])
                d_gates = d_rows.view(n_networks, 4, n_hidden, n_batch)
                torch.mul(from_cell[k], d_cell[:, None], out=d_gates[:, :3])
                torch.mul(from_hidden[k], d_hidden, out=d_gates[:, 3])
                carry = d_cell * f[k]
                d_joined.baddbmm_(columns[t], d_rows.mT)
        return d_joined, None, recurrent @ d_rows, carry


def _columns(joined, symbols, start):
    """(T+1, S, K+H, B): the one-hot symbol of each step above the hidden units before it, which
    the loop fills in from step 1 on."""
    n_steps, n_networks, n_batch = symbols.shape
    columns = joined.new_zeros(n_steps + 1, n_networks, joined.shape[1], n_batch)
    columns[:-1].scatter_(2, symbols[:, :, None], 1.0)
    columns[0, :, -start.shape[1] :] = start
    return columns


def _rows(gates, n_hidden, *bounds):
    """Per bound (a, b): the views of gates' rows a*H..b*H of every step, as a tuple over steps."""
    return [gates[:, :, a * n_hidden : b * n_hidden].unbind(0) for a, b in bounds]
