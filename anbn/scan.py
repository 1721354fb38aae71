"""The recurrence over time, for S networks at once, with its backward pass written out.

Autograd would record a dozen small operations per time step. Here a step is one batched product:

    [pre-activations of step t; logits of step t-1] = joined^T [one-hot symbol t; hidden t-1]

    joined = [ W + hid_bias   out_bias ]       (S, K+H, G+K), G = H rows for an SRN, 4H for an LSTM
             [ U              V        ]

(exactly one symbol is on, so the biases can stand in the rows of the symbols). The arguments are
its parts: across = [W + hid_bias; U] (S, K+H, G), V (S, H, K), out_bias (S, K). The backward loop
keeps only what must come one after another. Layout inside: (T, S, rows, B), so that a step is one
contiguous block. Small networks on a CPU take the loops of scan.c instead, where they can be
compiled. tests/test_anbn_models.py checks both passes of both against torch.nn.RNN, torch.nn.LSTM
and double precision. Gradients flow through the logits alone.
"""

import torch
from torch.ops import aten

# The backward pass prepares its factors for as many steps at a time as fit the cache.
CACHED_VALUES = 1 << 16


class SRNScan(torch.autograd.Function):
    """hidden_t = tanh(pre-activation_t): symbols (T, S, B) int64, start (S, H, B)
    -> logits (T, S, K, B), hidden (T, S, H, B)."""

    @staticmethod
    def forward(ctx, across, V, out_bias, symbols, start):
        n_hidden = start.shape[1]
        joined = _joined(across, V, out_bias)
        columns, rows, transposed = _buffers(joined, symbols, start)
        hidden = columns[1:, :, -n_hidden:]
        for column, row, h in zip(columns, rows, hidden, strict=False):
            torch.bmm(transposed, column, out=row)
            torch.tanh(row[:, :n_hidden], out=h)
        torch.bmm(transposed, columns[-1], out=rows[-1])
        ctx.save_for_backward(joined, columns)
        ctx.mark_non_differentiable(hidden)
        return rows[1:, :, n_hidden:], hidden

    @staticmethod
    def backward(ctx, grad, _hidden):
        joined, columns = ctx.saved_tensors
        n_symbols = grad.shape[2]
        n_hidden = columns.shape[2] - n_symbols
        recurrent = joined[:, n_symbols:].contiguous()  # (S, H, G+K)
        d_rows = _with_logits(grad, n_hidden)
        d_joined = torch.zeros_like(joined)
        hidden = columns[:, :, n_symbols:].unbind(0)
        for t in range(len(grad), 0, -1):
            d_hidden = torch.bmm(recurrent, d_rows[t])
            d_joined.baddbmm_(columns[t], d_rows[t].mT)
            d_rows[t - 1][:, :n_hidden] = aten.tanh_backward(d_hidden, hidden[t])
        d_joined.baddbmm_(columns[0], d_rows[0].mT)
        return *_parts(d_joined, grad, n_hidden), None, torch.bmm(recurrent, d_rows[0])


class LSTMScan(torch.autograd.Function):
    """The LSTM of Hochreiter & Schmidhuber (1997) with forget gates (Gers et al. 2000):

        i, f, o = sigmoid of their pre-activations, g = tanh
        cell_t = f * cell_{t-1} + i * g        hidden_t = o * tanh(cell_t)

    across has its columns in the order i, f, g, o; symbols (T, S, B) int64; start_hidden and
    start_cell (S, H, B). Returns logits (T, S, K, B), hidden (T, S, H, B), cell (T, S, H, B) and
    gates (T, S, 4H, B).
    """

    @staticmethod
    def forward(ctx, across, V, out_bias, symbols, start_hidden, start_cell):
        n_hidden = start_hidden.shape[1]
        joined = _joined(across, V, out_bias)
        columns, rows, transposed = _buffers(joined, symbols, start_hidden)
        hidden = columns[1:, :, -n_hidden:]
        cell = torch.cat([start_cell[None], torch.empty_like(hidden)])  # (T+1, S, H, B)
        squashed = torch.empty_like(cell[1:])  # tanh of the cell after each step
        i_f, i, f, g, o = (
            rows[:, :, a * n_hidden : b * n_hidden].unbind(0)
            for a, b in ((0, 2), (0, 1), (1, 2), (2, 3), (3, 4))
        )
        cells = cell.unbind(0)
        for t, (column, row, tanh_c, h) in enumerate(
            zip(columns, rows, squashed, hidden, strict=False)
        ):
            torch.bmm(transposed, column, out=row)
            i_f[t].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            c = torch.mul(f[t], cells[t], out=cells[t + 1]).addcmul_(i[t], g[t])
            torch.mul(o[t], torch.tanh(c, out=tanh_c), out=h)
        torch.bmm(transposed, columns[-1], out=rows[-1])
        gates = rows[:-1, :, : 4 * n_hidden]
        ctx.save_for_backward(joined, columns, gates, cell, squashed)
        reported = (hidden, cell[1:], gates)
        ctx.mark_non_differentiable(*reported)
        return rows[1:, :, 4 * n_hidden :], *reported

    @staticmethod
    def backward(ctx, grad, *_):
        joined, columns, gates, cell, squashed = ctx.saved_tensors
        n_steps, _, n_hidden, _ = squashed.shape
        recurrent = joined[:, -n_hidden:].contiguous()
        d_rows = _with_logits(grad, 4 * n_hidden)
        d_joined = torch.zeros_like(joined)
        carry = torch.zeros_like(cell[0])
        columns = columns.unbind(0)
        i_f_g, o_rows = (
            [row[:, a:b].unflatten(1, (-1, n_hidden)) for row in d_rows]
            for a, b in ((0, 3 * n_hidden), (3 * n_hidden, 4 * n_hidden))
        )
        block = max(1, CACHED_VALUES // gates[0].numel())
        for end in range(n_steps, 0, -block):
            first = max(0, end - block)
            i, f, g, o = gates[first:end].unflatten(2, (4, n_hidden)).unbind(2)
            # what a change of the cell does to the pre-activations of i, f, g; of hidden to o's
            from_cell = torch.stack(
                [
                    aten.sigmoid_backward(g, i),
                    aten.sigmoid_backward(cell[first:end], f),
                    aten.tanh_backward(i, g),
                ],
                2,
            )  # (t, S, 3, H, B)
            from_hidden = aten.sigmoid_backward(squashed[first:end], o)
            to_cell = aten.tanh_backward(o, squashed[first:end])
            for t in range(end - 1, first - 1, -1):
                d_hidden = torch.bmm(recurrent, d_rows[t + 1])
                d_joined.baddbmm_(columns[t + 1], d_rows[t + 1].mT)
                d_cell = torch.addcmul(carry, d_hidden, to_cell[t - first])
                torch.mul(from_cell[t - first], d_cell[:, None], out=i_f_g[t])
                torch.mul(from_hidden[t - first], d_hidden, out=o_rows[t][:, 0])
                carry = d_cell * f[t - first]
        d_joined.baddbmm_(columns[0], d_rows[0].mT)
        return *_parts(d_joined, grad, n_hidden), None, torch.bmm(recurrent, d_rows[0]), carry


def _joined(across, V, out_bias):
    bias = out_bias[:, None].expand(-1, across.shape[1] - V.shape[1], -1)
    return torch.cat([across, torch.cat([bias, V], 1)], 2)


def _parts(d_joined, grad, n_hidden):
    """The gradients of across, V and out_bias.

    out_bias's is summed from the logits' (T, S, K, B), in float64: in the rows of the symbols its
    rounding would depend on how far the streams of other networks make the sequences reach.
    """
    n_symbols = grad.shape[2]
    n_rows = d_joined.shape[2] - n_symbols
    exact = None if grad.device.type == "mps" else torch.float64
    d_bias = grad.sum((0, 3), dtype=exact).to(grad.dtype)
    return d_joined[..., :n_rows], d_joined[:, -n_hidden:, n_rows:], d_bias


def _buffers(joined, symbols, start):
    """What the forward loop fills in.

    columns (T+1, S, K+H, B): the one-hot symbol of each step above the hidden units before it.
    rows (T+1, S, G+K, B): pre-activations (later gates) above the logits of the step before; the
    last row has the last logits alone, its symbol is any. transposed: joined, rows to receive.
    """
    n_steps, n_networks, n_batch = symbols.shape
    columns = joined.new_zeros(n_steps + 1, n_networks, joined.shape[1], n_batch)
    columns[:-1].scatter_(2, symbols[:, :, None], 1.0)
    columns[-1, :, 0] = 1.0
    columns[0, :, -start.shape[1] :] = start
    rows = joined.new_empty(n_steps + 1, n_networks, joined.shape[2], n_batch)
    return columns, rows, joined.mT.contiguous()


def _with_logits(grad, n_rows):
    """Gradients of the rows, as a tuple over the T+1 steps, (S, n_rows + K, B): those of the
    logits filled in, a step later than the symbol they follow; the others still zero."""
    n_steps, n_networks, n_symbols, n_batch = grad.shape
    d_rows = grad.new_zeros(n_steps + 1, n_networks, n_rows + n_symbols, n_batch)
    d_rows[1:, :, n_rows:] = grad
    return d_rows.unbind(0)
