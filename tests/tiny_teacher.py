"""A sentence encoder that knows nothing, in the layout of a real one."""

from pathlib import Path

from transformers import BertConfig, BertModel

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "cat", "dog", "red"]
PIECES += [f"##{a}{b}" for a in "abcdefghijkl" for b in "abcdefghijkl"]


def write_teacher(folder: Path) -> Path:
    """Write it into a folder, which is returned."""
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=384, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return folder
