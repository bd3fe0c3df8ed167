"""Evaluate a frozen backbone on few-shot episodes: the nearest class mean, by cosine similarity.

    python few_shot.py --dataset pbc                                                # downloads data and model
    medimeta demo && python few_shot.py --tiny --data-dir demo/hub --dataset bus -n 10  # offline, in seconds

For tasks with one label per image. All published methods, multilabel tasks included, are in `medimeta few-shot`.
"""

import argparse

import torch
from torch.nn.functional import normalize
from transformers import AutoModel, ViTConfig, ViTModel

import medimeta

VIT = "google/vit-base-patch16-224-in21k"  # trained with mean and standard deviation 0.5 in each channel
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}


@torch.no_grad()
def features(model, images):
    """Features of images, uint8 of shape (n, 224, 224, channels)."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    return model(pixel_values=(pixels / 255 - 0.5) / 0.5).last_hidden_state[:, 0]


def main(argv=None):
    parser = argparse.ArgumentParser(description="Evaluate a frozen backbone on few-shot episodes.")
    parser.add_argument("--dataset", default="bus", help="id of the dataset (%(default)s)")
    parser.add_argument("--data-dir", help="where the data are; downloaded if not given")
    parser.add_argument("--exclude-leaks", action="store_true", help="leave out images with a copy in a later split")
    parser.add_argument("--tiny", action="store_true", help="a small random model")
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--queries", type=int, default=5)
    parser.add_argument("-n", type=int, default=100, help="episodes")
    args = parser.parse_args(argv)

    torch.manual_seed(0)
    model = (ViTModel(ViTConfig(**TINY)) if args.tiny else AutoModel.from_pretrained(VIT)).eval()
    draw = {"shots": args.shots, "queries": args.queries, "n": args.n, "exclude_leaks": args.exclude_leaks}
    episodes = medimeta.episodes(args.dataset, data_dir=args.data_dir, seed=0, **draw)
    print(episodes.summary())

    answers = []
    for batch in episodes.batches():
        support, query = features(model, batch.support), features(model, batch.query)
        labels = torch.from_numpy(batch.support_labels)
        means = torch.stack([support[labels == label].mean(dim=0) for label in labels.unique()])
        similar = normalize(query - means.mean(dim=0)) @ normalize(means - means.mean(dim=0)).T
        answers.append((10 * similar).softmax(dim=1).numpy())

    about = {"method": "nearest mean", "model": "tiny" if args.tiny else VIT}
    result = medimeta.Result.of_episode_scores(episodes, answers, protocol=f"few-shot, {args.shots} shots", **about)
    result.save("few-shot/result.json")  # for `medimeta table few-shot`
    print(f"AUROC {result.metrics['auroc']}")
    return result


if __name__ == "__main__":
    main()
