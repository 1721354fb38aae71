"""A training script in small, for tests of what the scripts share: its "networks" are sums over
products of random matrices, two to a group. --fail ends one of its processes in many ways."""

import os
import sys
import time

# As the scripts do.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(sys.path[0], "scripts"))

from common.options import BadInput, Parser, add_shared, run

GROUP_SIZE = 2


def trained(seeds, wait, quiet):
    """Yields the numbers of each group, (2,)."""
    import torch

    from common.run_folder import progress

    for seed in seeds[::GROUP_SIZE]:
        bar = progress(quiet=quiet, total=round(wait / 0.05))
        for _ in range(round(wait / 0.05)):
            time.sleep(0.05)
            bar.update()
        bar.close()
        matrices = torch.randn(GROUP_SIZE, 300, 300, generator=torch.Generator().manual_seed(seed))
        yield (matrices @ matrices).sum((1, 2))


def main():
    parser = Parser(prog="toy.py")
    parser.add_argument("--fail", default="", help="rankN, saving, kill, bug, status")
    parser.add_argument("--wait", type=float, default=0.0, help="seconds per group")
    add_shared(parser, seeds=6)
    args = parser.parse_args()

    from common.processes import Processes, share_out

    share_out(args, args.seeds, GROUP_SIZE)
    import torch

    from common.run_folder import RunFolder, choose_device

    processes = Processes()
    device = processes.join(choose_device(args))
    seeds = processes.share(list(range(args.seed, args.seed + args.seeds)), GROUP_SIZE)
    if args.fail in ("all", f"rank{processes.rank}"):
        raise BadInput(f"the fault of {args.fail}")
    folder = RunFolder(args, "toy", "toy", device, processes, code="toy")
    numbers, finished = [], True
    try:
        print("training", flush=True)
        for group in trained(seeds, args.wait, args.quiet):
            numbers.append(group)
            folder.save_model({"numbers": torch.cat(numbers)})
    except KeyboardInterrupt:
        finished = False
    parts = processes.gather((numbers, finished), folder)
    if args.fail == "kill":
        os.kill(os.getpid(), 9)
    if args.fail == "bug":
        raise AssertionError("a bug")
    numbers = [group for part, _ in parts for group in part]
    content = {"numbers": torch.cat(numbers) if numbers else torch.zeros(0)}
    if args.fail == "saving":
        (folder.path / ".model.pt.part").mkdir()  # no file can be written there
    folder.save_model(content)
    folder.save_json("summary.json", content)
    print(f"{len(content['numbers'])} networks")
    print(f"Run folder: {folder}")
    if not all(finished for _, finished in parts):
        return 130
    return 1 if args.fail == "status" else 0


if __name__ == "__main__":
    run(main)
