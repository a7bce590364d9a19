"""Fine-tunes a model on the shards of a round with TRL, and saves it where the next round looks for its teacher.

    python examples/rounds/train.py data/models/qwen2.5-coder-0.5b-instruct data/shards/messages data/student

Needs `pip install -e '.[train]'`. All weights, AdamW, loss on the answers only; a few minutes on 2 cores for 40 examples
and a model of 0.5 billion parameters.
"""

from __future__ import annotations

import argparse

from datasets import load_dataset
from trl import SFTConfig, SFTTrainer


def main() -> None:
    """Trains and saves."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("model", help="the model to start from: a folder or a hub id")
    arguments.add_argument("shards", help="the folder of the shards: data/shards/messages")
    arguments.add_argument("output", help="where the trained model goes")
    arguments.add_argument("--epochs", type=float, default=3.0)
    arguments.add_argument("--learning-rate", type=float, default=1e-5)
    given = arguments.parse_args()
    rows = load_dataset(given.shards, split="train").select_columns(["messages"])
    # TRL takes the loss of the completion alone where prompt and completion are apart.
    rows = rows.map(
        lambda row: {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}, remove_columns=["messages"]
    )
    settings = SFTConfig(
        output_dir=f"{given.output}/checkpoints",
        num_train_epochs=given.epochs,
        learning_rate=given.learning_rate,
        per_device_train_batch_size=8,
        max_length=1024,
        bf16=True,
        use_cpu=True,
        seed=17,
        save_strategy="no",
        report_to="none",
        logging_steps=5,
        model_init_kwargs={"dtype": "float32"},
    )
    trainer = SFTTrainer(model=given.model, args=settings, train_dataset=rows)
    trainer.train()
    trainer.save_model(given.output)


if __name__ == "__main__":
    main()
