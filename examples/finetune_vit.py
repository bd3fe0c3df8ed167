"""Fine-tune a vision transformer on one task, with Accelerate.

    python finetune_vit.py --task bus                                   # downloads data and model
    medimeta demo && python finetune_vit.py --tiny --data-dir demo/hub  # offline, in seconds

After every epoch the model is evaluated on the validation split; the best one is tested at the end. The full protocol,
with early stopping, resuming, many tasks and several processes, is `medimeta train`.
"""

import argparse
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification

import medimeta

VIT = "google/vit-base-patch16-224-in21k"  # trained with mean and standard deviation 0.5 in each channel
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}


def main(argv=None):
    args = parse(argv)
    set_seed(args.seed)
    accelerator = Accelerator(mixed_precision=args.mixed_precision)

    # Data: three splits of one task, as batches of `pixel_values` and `labels` on the device.
    task = medimeta.DATASETS.find_task(args.task)
    views = {
        split: medimeta.load_task(
            task, split=split, data_dir=args.data_dir, mode="RGB", exclude_leaks=args.exclude_leaks
        )
        for split in ("train", "validation", "test")
    }
    common = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "device": accelerator.device}
    train = medimeta.loader(
        views["train"], args.batch_size, shuffle=True, augment=not args.no_augmentation, seed=args.seed, **common
    )
    evaluation = {split: medimeta.loader(views[split], 64, **common) for split in ("validation", "test")}

    # Model: a new head whose outputs are named after the labels. The loss follows from the kind of task.
    head = {
        "id2label": dict(enumerate(task.labels)),
        "label2id": {label: number for number, label in enumerate(task.labels)},
        "problem_type": f"{'multi' if task.kind == 'multilabel' else 'single'}_label_classification",
    }
    if args.tiny:
        model = ViTForImageClassification(ViTConfig(**TINY, **head))
    else:
        model = AutoModelForImageClassification.from_pretrained(args.model, ignore_mismatched_sizes=True, **head)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    model, optimizer = accelerator.prepare(model, optimizer)

    best = -1.0
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for batch in train:
            loss = model(**batch).loss
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item() / len(train)
        metrics = evaluate(accelerator, model, evaluation["validation"], task)
        accelerator.print(f"epoch {epoch:3}  loss {total:.4f}  validation AUROC {metrics['auroc']:.4f}")
        if metrics["auroc"] >= best:
            best = metrics["auroc"]
            accelerator.unwrap_model(model).save_pretrained(args.output_dir)

    # The best model is tested once.
    model = AutoModelForImageClassification.from_pretrained(args.output_dir).to(accelerator.device)
    metrics = evaluate(accelerator, model, evaluation["test"], task)
    accelerator.print(f"test: AUROC {metrics['auroc']:.4f}, accuracy {metrics['accuracy']:.4f}")
    return metrics


@torch.no_grad()
def evaluate(accelerator, model, batches, task):
    """All metrics of the task on one split, by name."""
    model.eval()
    metric = medimeta.metric(task)
    for batch in batches:
        with accelerator.autocast():
            logits = model(pixel_values=batch["pixel_values"]).logits.float()
        scores = logits.sigmoid() if task.kind == "multilabel" else logits.softmax(dim=1)
        metric.add_batch(predictions=scores.cpu(), references=batch["labels"].cpu())
    return metric.compute()


def parse(argv):
    parser = argparse.ArgumentParser(description="Fine-tune a vision transformer on one MedIMeta task.")
    parser.add_argument("--task", default="bus", help='"bus" for its main task, or "bus/malignancy" (%(default)s)')
    parser.add_argument("--data-dir", help="where the data are; downloaded if not given")
    parser.add_argument("--exclude-leaks", action="store_true", help="leave out images with a copy in a later split")
    parser.add_argument("--model", default=VIT, help="checkpoint with inputs of 224 x 224 (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="a small random model instead")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--no-augmentation", action="store_true", help="train on images as they are")
    parser.add_argument("--mixed-precision", default="no", choices=("no", "fp16", "bf16"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output-dir", type=Path, default=Path("vit"), help="folder of the best model (%(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
