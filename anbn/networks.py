"""Networks and how they were trained: what a run is about, and a checkpoint holds.

for networks in trained(untrained(language, "srn", 2, seeds=range(8), recipe)):
    print(networks.sequences, networks.history[-1].loss)
"""

from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

from anbn.recipes import Recipe
from anbn.train import build, train


class CheckpointError(ValueError):
    """What is stored makes no networks, or others than asked for."""


class Report(NamedTuple):
    """What was measured at a report while S networks were trained; a list of S numbers each."""

    sequences: int  # training sequences per network so far
    loss: list  # the coursework's, on held-out streams
    streams_right: list  # the share of held-out streams with every step right
    cross_entropy: list  # nats per symbol in training, mean since the last report


@dataclass
class Networks:
    """S networks of one language, and how they were trained."""

    model: object  # anbn.models.SRN or LSTM
    language: object  # anbn.languages.Language
    best: int | None = None  # index of the best network; None: not evaluated yet
    seeds: list = field(default_factory=list)  # one per network
    sequences: int = 0  # training sequences per network
    recipe: dict | None = None  # the fields of a Recipe; None: not known, as of a bare state dict
    optimizer: dict | None = None  # its state, tensors (S, ...)
    hand_set: bool = False
    history: list = field(default_factory=list)  # a Report after every 1000 sequences or so
    notes: list = field(default_factory=list)  # what `checkpoint.load` has to say: lines of text

    @property
    def title(self):
        """For figures and reports: anbn, SRN with 2 hidden units, 8 networks."""
        model = self.model
        units = f"{model.n_hidden} hidden unit{'s' * (model.n_hidden > 1)}"
        count = f", {model.n_networks} networks" if model.n_networks > 1 else ""
        return f"{self.language.title}, {model.kind.upper()} with {units}{count}"

    @property
    def folder_name(self):
        """For run folders: anbn_srn2, reber_embedded_lstm4."""
        by_hand = "_handset" * self.hand_set
        return f"{self.language.file_name}_{self.model.kind}{self.model.n_hidden}{by_hand}"

    def file_name(self, sequences):
        """For the checkpoint after so many sequences: anbn_srn2_10.pth."""
        model = self.model
        return f"{self.language.name}_{model.kind}{model.n_hidden}_{sequences / 1000:g}.pth"

    def select(self, which):
        """The networks in a slice, as copies."""

        def part(value):  # (S, ...), or for all networks together
            return value[which].clone() if value.dim() else value.clone()

        state = self.optimizer
        return replace(
            self,
            model=self.model.select(which),
            best=None,
            seeds=self.seeds[which],
            optimizer=state and {name: part(value) for name, value in state.items()},
            history=[Report(n, *(values[which] for values in rest)) for n, *rest in self.history],
        )

    def require_more(self, n_sequences=None):
        """Set the length of training, if it is given. Raises CheckpointError if it is not longer
        than what is done, or if nobody knows how these networks were trained."""
        if self.recipe is None:
            raise CheckpointError("; ".join(self.notes) or "it does not say how it was trained")
        if n_sequences is not None:
            self.recipe = {**self.recipe, "n_sequences": n_sequences}
        if self.recipe["n_sequences"] - self.sequences < self.recipe["batch_size"]:
            raise CheckpointError(
                f"it has already been trained on {self.sequences:,} sequences per network; give a "
                "longer --epoch (in thousands)"
            )

    def metrics(self):
        """The history as a table: a dict per report and network."""
        return [
            {"sequences": report.sequences, "network": s + 1, "seed": seed}
            | {name: getattr(report, name)[s] for name in Report._fields[1:]}
            for report in self.history
            for s, seed in enumerate(self.seeds)
        ]


def untrained(language, kind, n_hidden, seeds, recipe):
    """New Networks, one for each of the seeds."""
    model = build(language, kind, n_hidden, seeds, recipe)
    return Networks(model, language, seeds=list(seeds), recipe=asdict(recipe))


def trained(networks, report_every=1000):
    """Train to the end of the recipe; yields the Networks about every `report_every` sequences, as
    copies."""
    for record in train(
        networks.model,
        networks.language,
        Recipe(**networks.recipe),
        networks.seeds,
        optimizer_state=networks.optimizer,
        report_every=report_every,
    ):
        measured = (record.loss, record.streams_right, record.cross_entropy)
        report = Report(record.sequences, *(values.tolist() for values in measured))
        networks.history.append(report)
        networks.sequences, networks.optimizer = record.sequences, record.optimizer_state
        yield networks.select(slice(None))
