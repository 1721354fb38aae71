"""What kuzu_main.py prints, and what it puts into its run folder."""

from dataclasses import asdict

import numpy as np

from common.run_folder import describe
from kuzu import plots
from kuzu.confusion import class_accuracy, most_confused
from kuzu.data import KANA, ROMAJI
from kuzu.models import count_parameters


class Output:
    """Collects one command's networks; prints as they train and sums up at the end."""

    def __init__(self, args, recipe, data, folder):
        self.args, self.recipe, self.data, self.folder = args, recipe, data, folder
        self.networks = []  # (seed, model, Evaluation, history)
        self.checkpoints = {}  # by seed
        self.interrupted = False
        self.equal_time = None  # what both recipes reach in the classic one's time

    def say(self, text=""):
        """Print unless --quiet."""
        if not self.args.quiet:
            print(text, flush=True)

    def introduce(self, device):
        recipe = self.recipe
        self.say(f"Data: {self.data.title}")
        self.say(
            f"Net{self.args.net.capitalize()}, {recipe.name} recipe: {recipe.epochs} epochs, "
            f"lr {recipe.lr:g}, momentum {recipe.momentum:g}, batch {recipe.batch_size}; "
            f"on {describe(device)}"
        )
        if recipe.evaluate_every > 1:
            self.say(f"Tested every {recipe.evaluate_every} epochs.")

    def batch(self, epoch, seen, loss):
        """The coursework's loss line."""
        total = len(self.data.train_labels)
        share = 100 * seen / total
        self.say(f"Train Epoch: {epoch} [{seen}/{total} ({share:.0f}%)]\tLoss: {loss:.6f}")

    def tested(self, test, say=None):
        """The coursework's confusion matrix and test line."""
        say = say or self.say
        say(matrix_text(test.confusion))
        say()
        say(
            f"Test set: Average loss: {test.loss:.4f}, Accuracy: {test.correct}/{test.total} "
            f"({100 * test.accuracy:.0f}%)"
        )
        say()

    def begin(self, seed, history):
        """Log the epochs a resumed network was trained for before."""
        for row in history:
            self.folder.log(seed=seed, **row)

    def epoch(self, seed, model, epoch, history):
        """Print an epoch, append it to the network's history, save the network as it is now."""
        self.tested(epoch.test)
        row = {
            "epoch": epoch.number,
            "train_loss": epoch.train_loss,
            "train_accuracy": epoch.train_accuracy,
            "test_loss": epoch.test.loss,
            "test_accuracy": epoch.test.accuracy,
            "seconds": round(epoch.seconds, 4),
        }
        history.append(row)
        self.folder.log(seed=seed, **row)
        self.folder.flush()
        self.checkpoints[seed] = {
            "net": self.args.net,
            "n_hidden": self.args.hid,
            "seed": seed,
            "epoch": epoch.number,
            "data": self.data.title,
            "recipe": asdict(self.recipe),
            "model": model.state_dict(),
            "optimizer": epoch.optimizer.state_dict(),
            "history": history,
        }
        self.save_checkpoint(seed)

    def save_checkpoint(self, seed):
        """Write the network of a seed as it was after its last epoch."""
        name = "model.pt" if self.args.seeds == 1 else f"model_s{seed}.pt"
        self.folder.save_model(self.checkpoints[seed], name)

    def trained(self, seed, model, test, history):
        """Keep a network for the final results."""
        self.networks.append((seed, model.cpu(), test, history))

    def merge(self, parts):
        """Take over the networks and checkpoints of all processes, in the order of the seeds."""
        if len(parts) == 1:
            return
        self.networks = [network for networks, _ in parts for network in networks]
        self.folder.rows.clear()
        for seed, *_, history in self.networks:
            self.begin(seed, history)
        self.folder.flush()
        for _, self.checkpoints in parts:
            for seed in self.checkpoints:
                self.save_checkpoint(seed)

    def finish(self):
        """Print the final results, write summary.json and the figures; returns the exit status."""
        if not self.networks:
            print(f"Interrupted before the first epoch ended. Run folder: {self.folder}")
            return 130
        confusion = sum(test.confusion for _, _, test, _ in self.networks)
        summary = self.summary(confusion)
        self.print_results(summary, confusion)
        self.folder.save_json("summary.json", summary)
        self.draw(confusion)
        print(f"Run folder: {self.folder}")
        return 130 if self.interrupted else 0

    def summary(self, confusion):
        """Every figure that is printed at the end."""
        rows, total = count_parameters(self.networks[0][1])
        tests = [test for _, _, test, _ in self.networks]
        accuracies = [test.accuracy for test in tests]
        losses = [test.loss for test in tests]
        pairs = most_confused(confusion)
        return {
            "data": self.data.title,
            "train_images": len(self.data.train_labels),
            "test_images": len(self.data.test_labels),
            "net": self.args.net,
            "recipe": asdict(self.recipe),
            "interrupted": self.interrupted,
            "equal_time": self.equal_time,
            "parameters": total,
            "parameters_by_layer": {name: count for name, _, count in rows},
            "networks": [
                {
                    "seed": seed,
                    "epochs": history[-1]["epoch"],
                    "loss": test.loss,
                    "correct": test.correct,
                    "accuracy": test.accuracy,
                    "training_seconds": round(sum(row["seconds"] for row in history), 3),
                }
                for seed, _, test, history in self.networks
            ],
            "mean_accuracy": float(np.mean(accuracies)),
            "std_accuracy": float(np.std(accuracies, ddof=1)) if len(tests) > 1 else None,
            "mean_loss": float(np.mean(losses)),
            "std_loss": float(np.std(losses, ddof=1)) if len(tests) > 1 else None,
            "confusion": confusion,
            "accuracy_by_class": dict(zip(ROMAJI, class_accuracy(confusion).tolist(), strict=True)),
            "most_confused": [
                {
                    "target": ROMAJI[pair.target],
                    "predicted": ROMAJI[pair.predicted],
                    "count": pair.count,
                    "share": pair.share,
                }
                for pair in pairs
            ],
        }

    def print_results(self, summary, confusion):
        print(f"Results on the {self.data.title}")
        if len(self.networks) > 1:
            for network in summary["networks"]:
                print(
                    f"seed {network['seed']}: loss {network['loss']:.4f}, accuracy "
                    f"{network['correct']}/{summary['test_images']} ({network['accuracy']:.2%})"
                )
            print(
                f"{len(self.networks)} networks: accuracy {summary['mean_accuracy']:.2%} "
                f"+- {summary['std_accuracy']:.2%} (standard deviation), loss "
                f"{summary['mean_loss']:.4f} +- {summary['std_loss']:.4f}"
            )
            print("Confusion matrix, summed over the networks:")
            print(matrix_text(confusion))
        elif self.args.quiet:
            self.tested(self.networks[0][2], say=lambda text="": print(text))
        if self.equal_time:
            parts = (
                f"{name} {found['accuracy']:.2%} ({found['epochs']} epochs, "
                f"{found['seconds']:.1f} s)"
                for name, found in self.equal_time.items()
            )
            print(f"At equal time, seed {self.args.seed}: {', '.join(parts)}")
        rows, total = count_parameters(self.networks[0][1])
        print(f"Parameters of Net{self.args.net.capitalize()}:")
        for name, shape, count in rows:
            weights = " x ".join(str(side) for side in shape)
            print(f"    {name:8s}{weights:>15s} weights + {shape[0]:3d} biases{count:10,}")
        print(f"    {'total':51s}{total:>6,}")
        print("Accuracy per character:")
        for kana, romaji, share in zip(KANA, ROMAJI, class_accuracy(confusion), strict=True):
            print(f"    {kana} {romaji:4s}{share:8.2%}")
        print("Most-confused pairs (target read as predicted; share of the target's images):")
        for pair in most_confused(confusion):
            print(
                f"    {KANA[pair.target]} {ROMAJI[pair.target]:>3s} -> {KANA[pair.predicted]} "
                f"{ROMAJI[pair.predicted]:3s}{pair.count:6d}{pair.share:8.2%}"
            )

    def draw(self, confusion):
        """The figures, from the first network where they show one."""
        seed, model, test, history = self.networks[0]
        name = f"Net{self.args.net.capitalize()}, {self.recipe.name} recipe"
        one = f"{name}, seed {seed}"
        every = one if len(self.networks) == 1 else f"{name}, {len(self.networks)} networks"
        title = self.data.title
        save = self.folder.save_figure
        save(plots.confusion_heatmap(confusion, f"{every}\n{title}"), "confusion.png")
        histories = [history for *_, history in self.networks]
        save(plots.learning_curves(histories, f"{every}\n{title}"), "learning_curves.png")
        pairs = most_confused(test.confusion)
        if pairs:
            gallery = plots.confused_gallery(
                pairs,
                self.data.test_images.cpu(),
                self.data.test_labels.cpu(),
                test.predictions,
                f"{one}\n{title}",
            )
            save(gallery, "confused_pairs.png")
        if self.args.net == "lin":
            save(plots.weight_images(model, f"{one}\n{title}"), "weights.png")
        if self.args.net == "conv":
            save(plots.first_filters(model, f"{one}\n{title}"), "filters.png")


def matrix_text(confusion):
    """The confusion matrix as numpy prints one of floats, never shortened."""
    return np.array2string(confusion.numpy().astype(float), threshold=10**6, max_line_width=200)
