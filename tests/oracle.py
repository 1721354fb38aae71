"""A second reading of a network, in numpy and without the package: what it does on any text."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


class Oracle:
    """One network read by numpy, and the language's strings."""

    def __init__(self, model, language):
        self.p = {k: v[0].detach().double().numpy() for k, v in model.named_parameters()}
        self.kind, self.language, self.letters = model.kind, language, language.symbols
        self.unit_name = "cell" if model.kind == "lstm" else "hidden unit"
        self.length, self.model, self.known = language.length, model, {}

    def read_all(self, texts):
        """Read several texts side by side."""
        p, H = self.p, self.p["U"].shape[0]
        numbers = np.zeros((len(texts), max(map(len, texts))), int)
        for row, text in zip(numbers, texts, strict=True):
            row[: len(text)] = [self.letters.index(letter) for letter in text]
        start = np.tanh(p["H0"]) if self.kind == "srn" else np.zeros(H)
        hidden, cell, rows = np.tile(start, (len(texts), 1)), np.zeros((len(texts), H)), []
        for symbols in numbers.T:
            row = p["W"][symbols] + hidden @ p["U"] + p["hid_bias"]
            if self.kind == "srn":
                hidden = cell = np.tanh(row)
            else:
                i, f, g, o = np.split(row, 4, -1)
                cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
                hidden = sigmoid(o) * np.tanh(cell)
            rows.append((cell, hidden, hidden @ p["V"] + p["out_bias"]))
        units, hidden, logits = (np.stack(part, 1) for part in zip(*rows, strict=True))
        for b, text in enumerate(texts):
            self.known[text] = tuple(part[b, : len(text)] for part in (units, hidden, logits))

    def read(self, text):
        """Units (T, H), hidden (T, H) and logits (T, K) after each symbol of a text."""
        if text not in self.known:
            self.read_all([text])
        return self.known[text]

    def predicts(self, text, symbol):
        """Whether `symbol` is the most probable one after a text, or as good as that."""
        logits = self.read(text)[2][-1]
        return logits[self.letters.index(symbol)] >= logits.max() - 1e-6 * max(1, abs(logits).max())

    def word(self, n):
        return "".join(s * (n * m) for s, m in zip(self.letters, self.language.multiples))  # noqa: B905

    def wrong_steps(self, text, first=0):
        """Numbers of symbols read at which the next one is certain and not predicted."""
        certain = (t for t in range(first + 1, len(text)) if text[t - 1] != "A")
        rows = self.read(text)[2].argmax(-1)
        return [t for t in certain if self.letters[rows[t - 1]] != text[t]]

    def fails(self, n):
        return bool(self.wrong_steps(self.word(n) + "A"))

    def block(self, n, letter):
        """The steps of the string of n at which `letter` is read."""
        word = self.word(n)
        return range(word.index(letter), word.rindex(letter) + 1)

    def after(self, letter):
        return self.letters[(self.letters.index(letter) + 1) % len(self.letters)]

    def path(self, n, letter, unit):
        return self.read(self.word(n))[0][list(self.block(n, letter)), unit]

    def counts_and_units(self, letter):
        """Over n = 1..length: the count at each step that reads `letter`, and all units."""
        counts, units = [], []
        for n in range(1, self.length + 1):
            steps = self.block(n, letter)
            left = range(len(steps) - 1, -1, -1)
            counts += range(1, n + 1) if letter == "A" else left
            units.append(self.read(self.word(n))[0][list(steps)])
        return np.array(counts, float), np.concatenate(units)

    def turned(self, letter):
        """Over the same steps: whether the output is the next letter."""
        rows = [
            self.read(self.word(n))[2][t].argmax() == self.letters.index(self.after(letter))
            for n in range(1, self.length + 1)
            for t in self.block(n, letter)
        ]
        return np.array(rows)

    def given(self, n, letter):
        """The number of letters read in the block of `letter` when the output is another one; None
        if it is not within twice as many as are right, and ten."""
        start = self.word(n)[: self.block(n, letter)[0]]
        most = 2 * len(self.block(n, letter)) + 10
        logits = self.read(start + letter * most)[2][len(start) :]
        others = (logits.argmax(-1) != self.letters.index(letter)).nonzero()[0]
        return others[0] + 1 if len(others) else None

    def map(self, letter, hidden):
        p = self.p
        return np.tanh(p["W"][self.letters.index(letter)] + hidden @ p["U"] + p["hid_bias"])


def correlation(x, y):
    return np.corrcoef(x, y)[0, 1] if np.ptp(y) >= 0.02 else 0.0


def near(text, value):
    """Whether a printed number is this value, rounded."""
    step = 0.0051 if abs(value) >= 0.0999 else 0.051 * abs(value) + 1e-9
    return abs(float(text) - value) <= step + 1e-4 * abs(value)


def last_of(text):
    """The last n of "n = 1" or "n = 1 to 8"."""
    return int(text.rsplit(maxsplit=1)[-1].replace(",", ""))
