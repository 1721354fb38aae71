"""What follows in numbered strings: legal symbols and their probability after each symbol read.

a^n b^n, strings n = 1, 2, 3 (trained), 4:    A B|A    A A B B|A    A A A B B B|A    ...
read A:  4 strings begin so, one goes on with B, and three with A; trained: one and two
         -> A and B are legal, with probability 2/3 and 1/3
"""

import torch
from torch.nn.utils.rnn import pad_sequence


def what_follows(texts, n_symbols, n_trained):
    """Tables of N strings of up to L symbols.

    texts: the strings as (length + 1,) int64, each with the first symbol of the next one. The first
    n_trained of them occur in training, equally likely. Returns a dict: length (N,), symbols (N, L)
    and, after each symbol of each string, legal (N, L, K) bool and probability (N, L, K).
    """
    text = pad_sequence(texts, batch_first=True, padding_value=n_symbols)  # (N, L + 1)
    size = (len(text), text.shape[1] - 1, n_symbols)
    legal, probability = torch.zeros(size, dtype=torch.bool), torch.zeros(size)
    # Strings that are alike so far are in one class, and have the same symbols to follow.
    alike = torch.zeros(len(text), dtype=torch.long)
    for t in range(size[1]):
        alike = torch.unique(alike * (n_symbols + 1) + text[:, t], return_inverse=True)[1]
        trained, every = (_counts(alike, text[:, t + 1], n, n_symbols) for n in (n_trained, None))
        counts = torch.where(trained.sum(-1, keepdim=True) > 0, trained, every)
        legal[:, t] = every > 0
        probability[:, t] = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    length = torch.tensor([len(each) - 1 for each in texts])
    return {"length": length, "symbols": text[:, :-1], "legal": legal, "probability": probability}


def _counts(alike, following, n, n_symbols):
    """How many of the first n strings of the same class go on with each symbol: (N, K)."""
    counts = torch.zeros(len(alike), n_symbols + 1)
    counts.index_put_((alike[:n], following[:n]), torch.ones(()), accumulate=True)
    return counts[alike, :-1]
