"""Fine-tune a vision transformer on one task, with the transformers Trainer.

python train_with_trainer.py --task bus                                   # downloads data and model
medimeta demo && python train_with_trainer.py --tiny --data-dir demo/hub  # offline, in seconds
"""

import argparse

import torch
from transformers import (
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
)

import medimeta

VIT = "google/vit-base-patch16-224-in21k"  # trained with mean and standard deviation 0.5 in each channel
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}


def collate(rows):
    batch = torch.utils.data.default_collate(rows)
    return {"pixel_values": (batch["image"] / 255 - 0.5) / 0.5, "labels": batch["label"]}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Fine-tune a vision transformer with the transformers Trainer.")
    parser.add_argument("--task", default="bus", help='"bus" for its main task, or "bus/malignancy" (%(default)s)')
    parser.add_argument("--data-dir", help="where the data are; downloaded if not given")
    parser.add_argument("--exclude-leaks", action="store_true", help="leave out images with a copy in a later split")
    parser.add_argument("--tiny", action="store_true", help="a small random model")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output-dir", default="trainer")
    args = parser.parse_args(argv)

    task = medimeta.DATASETS.find_task(args.task)
    options = {"data_dir": args.data_dir, "mode": "RGB", "exclude_leaks": args.exclude_leaks}
    train, validation, test = (
        medimeta.load_task(task, split=split, **options) for split in ("train", "validation", "test")
    )
    head = {
        "id2label": dict(enumerate(task.labels)),
        "label2id": {label: number for number, label in enumerate(task.labels)},
        "problem_type": f"{'multi' if task.kind == 'multilabel' else 'single'}_label_classification",
    }
    if args.tiny:
        model = ViTForImageClassification(ViTConfig(**TINY, **head))
    else:
        model = AutoModelForImageClassification.from_pretrained(VIT, **head)
    settings = TrainingArguments(
        args.output_dir,
        num_train_epochs=args.epochs,
        learning_rate=1e-4,
        per_device_train_batch_size=16,
        eval_strategy="epoch",
        remove_unused_columns=False,  # `collate` needs the images
        report_to="none",
    )
    metric = medimeta.metric(task)
    trainer = Trainer(model, settings, collate, train, validation, compute_metrics=metric)
    trainer.train()
    metrics = trainer.evaluate(test, metric_key_prefix="test")
    print(f"test: AUROC {metrics['test_auroc']:.4f}, accuracy {metrics['test_accuracy']:.4f}")
    return metrics


if __name__ == "__main__":
    main()
