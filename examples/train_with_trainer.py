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
    ViTImageProcessor,
)

import medimeta

VIT = "google/vit-base-patch16-224-in21k"
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Fine-tune a vision transformer with the transformers Trainer.")
    parser.add_argument("--task", default="bus", help='"bus" for its main task, or "bus/malignancy" (%(default)s)')
    parser.add_argument("--data-dir", help="where the data are; downloaded if not given")
    parser.add_argument("--exclude-leaks", action="store_true", help="leave out images with a copy in a later split")
    parser.add_argument("--tiny", action="store_true", help="a small random model")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--output-dir", default="trainer")
    args = parser.parse_args(argv)

    task = medimeta.DATASETS.find_task(args.task)
    head = {"id2label": dict(enumerate(task.labels)), "label2id": {name: i for i, name in enumerate(task.labels)}}
    if task.kind == "multilabel":
        head["problem_type"] = "multi_label_classification"
    if args.tiny:
        model, processor = ViTForImageClassification(ViTConfig(**TINY, **head)), ViTImageProcessor()
    else:
        model = AutoModelForImageClassification.from_pretrained(VIT, **head)
        processor = ViTImageProcessor.from_pretrained(VIT)

    def collate(rows):
        pixels = processor([row["image"] for row in rows], return_tensors="pt")["pixel_values"]
        return {"pixel_values": pixels, "labels": torch.tensor([row["label"] for row in rows])}

    views = {
        split: medimeta.load_task(
            task, split=split, data_dir=args.data_dir, mode="RGB", exclude_leaks=args.exclude_leaks
        )
        for split in ("train", "validation", "test")
    }
    settings = TrainingArguments(
        args.output_dir,
        num_train_epochs=args.epochs,
        learning_rate=args.lr,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        eval_strategy="epoch",
        remove_unused_columns=False,  # `collate` needs the images
        report_to="none",
    )
    trainer = Trainer(
        model,
        settings,
        data_collator=collate,
        train_dataset=views["train"],
        eval_dataset=views["validation"],
        compute_metrics=medimeta.metric(task),
    )
    trainer.train()
    metrics = trainer.evaluate(views["test"], metric_key_prefix="test")
    print(f"test: AUROC {metrics['test_auroc']:.4f}, accuracy {metrics['test_accuracy']:.4f}")
    return metrics


if __name__ == "__main__":
    main()
