"""Compare a model of your own with published backbones on many tasks, without training any of them.

    python bench_own_model.py --tasks bus                               # downloads data and model
    medimeta demo && python bench_own_model.py --tiny --data-dir demo/hub  # offline, in seconds

Replace `my_backbone` by your network. On the command line: `medimeta bench MODEL models.py:function`.
"""

import argparse

import torch

import medimeta

PUBLISHED = "microsoft/resnet-18"


def my_backbone():
    """A network that turns images, float32 of shape (N, 3, 224, 224), into vectors, shape (N, width)."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 32, 7, stride=4, padding=3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(4),
        torch.nn.Flatten(),
    )
    # network.load_state_dict(torch.load("weights.pt", weights_only=True))
    return network.eval()


def main(argv=None):
    parser = argparse.ArgumentParser(description="Compare a model of your own with published backbones.")
    parser.add_argument("--tasks", nargs="+", default=["bus"], help='ids, "id/task", "main" or "all" (bus)')
    parser.add_argument("--data-dir", help="where the data are; downloaded if not given")
    parser.add_argument("--tiny", action="store_true", help="only the network in this file")
    parser.add_argument("--out", default="results", help="folder of the results (%(default)s)")
    args = parser.parse_args(argv)

    # Mean and standard deviation are those that the network was trained with.
    own = medimeta.encoder(my_backbone(), name="mine", size=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    done = medimeta.bench(
        [own] if args.tiny else [own, PUBLISHED],
        tasks=args.tasks,
        protocols=["probe", "knn", "prototype"],
        data_dir=args.data_dir,
        out=args.out,
        say=print,
    )
    print(done.table())  # Markdown: AUROC with intervals, a table per protocol
    return done.to_frame()  # pandas, for your own plots


if __name__ == "__main__":
    main()
