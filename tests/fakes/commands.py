"""Training commands, run in this process."""

from __future__ import annotations

from medimeta.learn.experiments import few_shot, options, pretrain_maml, pretrain_multitask, sweep, train, zero_shot

RUN = {
    "train": train.run,
    "few-shot": few_shot.run,
    "zero-shot": zero_shot.run,
    "pretrain multitask": pretrain_multitask.run,
    "pretrain maml": pretrain_maml.run,
    "sweep": sweep.run,
}


def run(command, *argv):
    """What `medimeta COMMAND ARGV` returns."""
    return RUN[command](options.parse(command, [str(word) for word in argv]))
