"""What xor_main.py prints, and what it puts into its run folder."""

import numpy as np
import torch

from anbn.evaluate import quantiles, wilson
from xor import plots
from xor.explain import activation_table, activations, conditions, idle_units, score
from xor.model import MLP, PARAMETERS, units_needed
from xor.train import joined

LEVELS = (0.1, 0.5, 0.9)


class Output:
    """Follows one command's training, and sums up at the end."""

    def __init__(self, args, folder, inputs, targets, seeds, recipe):
        self.args, self.folder, self.recipe = args, folder, recipe
        self.inputs, self.targets, self.seeds = inputs, targets, seeds
        self.history = []  # the Records
        self.interrupted = False

    @property
    def title(self):
        """What was done, over every figure."""
        size, n = self.args.size, len(self.seeds)
        how = "weights set by hand" if self.args.set_weights else f"{n} trained"
        return f"{size} x {size} points, {self.args.hid} {self.args.act} units, {how}"

    def say(self, text=""):
        """Print unless --quiet."""
        if not self.args.quiet:
            print(text, flush=True)

    def epoch(self, record):
        """The coursework's line; for several networks their means, and how many have solved it."""
        loss, accuracy = record.loss.mean().item(), record.accuracy.mean().item()
        solved = int((record.solved_at > 0).sum())
        text = f"ep:{record.epoch:5d} loss: {loss:.4f} acc: {accuracy:.2f}"
        self.say(text if len(self.seeds) == 1 else f"{text} solved: {solved}/{len(self.seeds)}")
        self.history.append(record.cpu())

    @property
    def last(self):
        """The last Record, None where nothing was trained."""
        return self.history[-1] if self.history else None

    def merge(self, parts):
        """Take over the histories of all processes; returns the model of all their networks.

        parts: (model, history) of each. Where one has ended earlier, its last Record stays.
        """
        models, histories = zip(*parts, strict=True)
        if len(parts) > 1:
            first, each = self.seeds[0], range(max(map(len, histories)))
            self.seeds = list(range(first, first + sum(model.n_networks for model in models)))
            self.history = [joined([h[min(e, len(h) - 1)] for h in histories]) for e in each]
        state = [torch.cat([getattr(m, name).detach() for m in models]) for name in PARAMETERS]
        return MLP(*state, act=models[0].act)

    def finish(self, model):
        """Score all networks, choose one, print and save everything; returns the exit status."""
        self.inputs, self.targets, model = self.inputs.cpu(), self.targets.cpu(), model.cpu()
        loss, accuracy, wrong = score(model, self.inputs, self.targets)
        shown = self.choose(loss, accuracy)
        network = model.network(shown)
        summary = {"task": f"{self.args.size} x {self.args.size}", "hidden": self.args.hid}
        summary |= {"activation": self.args.act, "set_by_hand": self.args.set_weights}
        if len(self.seeds) > 1:
            summary |= self.count(accuracy, loss, wrong)
        summary |= self.describe(network, shown, loss[shown].item(), accuracy[shown].item())
        self.save(model, network, shown)
        self.folder.save_json("summary.json", summary)
        print(f"Run folder: {self.folder}")
        if self.interrupted:
            return 130
        return 0 if bool((accuracy == 100).any()) else 1

    def choose(self, loss, accuracy):
        """The network shown: the first that solved it, else the one with the smallest loss."""
        if self.last is None or not bool((accuracy == 100).any()):
            return int(loss.nan_to_num(0).argmin())
        solved_at = self.last.solved_at
        ever = torch.where(solved_at > 0, solved_at, solved_at.max() + 1)
        return int(torch.where(accuracy == 100, ever, ever.max() + 1).argmin())

    def count(self, accuracy, loss, wrong):
        """How many of many networks solved it, how fast, and what holds the others up."""
        n, solved = len(self.seeds), accuracy == 100
        n_solved = int(solved.sum())
        low, high = wilson(n_solved, n)
        print(
            f"\nSolved: {n_solved} of {n} networks ({100 * n_solved / n:.1f} %, 95 % interval "
            f"{100 * low:.1f} to {100 * high:.1f} %)"
        )
        content = {"networks": n, "solved": n_solved, "solved_interval_95": [low, high]}
        content["restarted"] = int((self.last.draws > 1).sum())
        if self.recipe.restarts:
            print(f"Drawn anew: {content['restarted']} networks, all their epochs counted")
        solved_at = self.last.solved_at[solved & (self.last.solved_at > 0)]
        if len(solved_at):
            content["epochs_to_solve"] = dict(
                zip(("10%", "50%", "90%"), quantiles(solved_at, LEVELS), strict=True)
            )
            text = ", ".join(f"{k} {v}" for k, v in content["epochs_to_solve"].items())
            print(f"Epochs until all points were right, quantiles: {text}")
        content["stuck"] = []
        for n_wrong in wrong.sum(1)[~solved].unique().tolist():
            group = ~solved & (wrong.sum(1) == n_wrong)
            mean = loss[group].mean().item()
            content["stuck"].append(
                {"networks": int(group.sum()), "points_wrong": n_wrong, "mean_loss": mean}
            )
            points = "1 point" if n_wrong == 1 else f"{n_wrong} points"
            print(f"Stuck: {int(group.sum())} with {points} wrong, mean loss {mean:.4f}")
        return content

    def describe(self, network, shown, loss, accuracy):
        """The network shown: weights, lines, table; returns all of it for summary.json."""
        many = len(self.seeds) > 1
        if many:
            print(f"\nThe network shown: seed {self.seeds[shown]}")
        print("Final Weights:")
        weights = {name: getattr(network, name).detach()[0].cpu() for name in PARAMETERS}
        for tensor in weights.values():
            print(tensor)
        print(f"Final Accuracy: {accuracy:.1f}\n")
        hidden, output = conditions(network)
        on = "fires" if self.args.act == "step" else "is above 1/2"
        print(f"Each hidden unit {on} on one side of its dividing line:")
        for k, condition in enumerate(hidden):
            print(f"  h{k + 1}: {condition}")
        print(f"The output {on} where\n  {output}\n")
        rows = activations(network, self.inputs, self.targets)
        print("\n".join(activation_table(rows, self.args.act)))
        print()
        self.folder.save_csv("activations.csv", rows)
        wrong = [(r["X"], r["Y"]) for r in rows if (r["output"] >= 0.5) != (r["T"] == 1)]
        epoch = self.last.epoch if self.last else 0
        solved_at = int(self.last.solved_at[shown]) if self.last else 0
        if wrong:
            idle = idle_units(network, self.inputs)
            print(
                f"Stuck on a plateau after {epoch} epochs: loss {loss:.4f}, wrong at "
                + ", ".join(f"({x}, {y})" for x, y in wrong)
                + (f"; all points on one side of h{', h'.join(map(str, idle))}" if idle else "")
                + f". {self.advice()}"
            )
        elif self.last:
            print(f"Solved: every point right from epoch {solved_at} on.")
        return {
            "seed": self.seeds[shown],
            "epochs": epoch,
            "loss": loss,
            "accuracy": accuracy,
            "solved_at": solved_at if not wrong else None,
            "wrong_points": wrong,
            "weights": weights,
            "hidden_conditions": hidden,
            "output_condition": output,
            "activations": rows,
            "recipe": vars(self.recipe) if self.last else None,
        }

    def advice(self):
        needed = units_needed(self.args.size)
        if self.args.hid < needed:
            return f"{needed} hidden units are known to be enough; try --hid {needed}."
        return "Try --restarts 5, --seeds 100 or another --seed."

    def save(self, model, network, shown):
        folder, points = self.folder, (self.inputs, self.targets)
        state = {name: getattr(model, name).detach().cpu() for name in PARAMETERS}
        folder.save_model({"act": model.act, "seeds": self.seeds, "shown": shown, "model": state})
        title = self.title
        if len(self.seeds) > 1:
            title += f"; seed {self.seeds[shown]}"
        folder.save_figure(plots.hidden_units(network, *points, title), "hidden.png")
        folder.save_figure(plots.output_region(network, *points, title), "output.png")
        folder.save_figure(plots.diagram(network, title), "network.png")
        if self.last is None:
            return
        epochs = [record.epoch for record in self.history]
        loss = np.stack([record.loss for record in self.history])  # (reports, S)
        accuracy = np.stack([record.accuracy for record in self.history])
        for record in self.history:
            means = {"loss": record.loss.mean().item(), "accuracy": record.accuracy.mean().item()}
            folder.log(epoch=record.epoch, **means, solved=int((record.solved_at > 0).sum()))
        folder.flush()
        figure = plots.learning(epochs, loss, accuracy, shown, title)
        folder.save_figure(figure, "learning.png")
        solved_at = self.last.solved_at[self.last.solved_at > 0]
        if len(self.seeds) > 1 and len(solved_at):
            figure = plots.epochs_to_solve(solved_at, len(self.seeds), self.title)
            folder.save_figure(figure, "epochs_to_solve.png")
