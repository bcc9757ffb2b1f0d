"""Distillation of the text encoder from a sentence encoder that is needed in training only.

The teacher is any BERT-like folder with model.safetensors, config.json and vocab.txt (used:
all-MiniLM-L6-v2, Apache-2.0). The student learns its token features and its sentence vectors, after
Hinton et al. 2015, https://arxiv.org/abs/1503.02531.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertModel

from engine.networks.text_encoder import TextEncoder, TextEncoderConfig, Tokenizer
from engine.training.loop import Draw, Pictureless

TEACHER_WIDTH = 384


def english_pieces(folder: Path) -> tuple[list[str], list[int]]:
    """The teacher's word pieces made of ASCII characters, and their ids with the teacher."""
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    kept = [
        (piece, index)
        for index, piece in enumerate(pieces)
        if piece.isascii() and not re.match(r"\[unused", piece)
    ]
    return [piece for piece, _ in kept], [index for _, index in kept]


class DistilledEncoder(nn.Module):
    """The student with the matrix that brings its features to the teacher's width."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.to_teacher = nn.Linear(encoder.config.width, TEACHER_WIDTH)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Token features and pooled vector, both at the teacher's width."""
        tokens, pooled = self.encoder(ids)
        return self.to_teacher(tokens), self.to_teacher(pooled)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Texts with the teacher's answers: ids (N, T) and features (N, T, 384) as half floats."""

    ids: Tensor
    features: NDArray[np.float16]


class Teacher:
    """The sentence encoder, answering in the student's word pieces."""

    def __init__(self, folder: Path, length: int = 32) -> None:
        self.network = BertModel.from_pretrained(
            folder, add_pooling_layer=False, local_files_only=True
        ).eval()
        self.pieces, self.ids = english_pieces(folder)
        self.tokenizer = Tokenizer(self.pieces, {}, length)

    @torch.no_grad()
    def lesson(self, texts: Sequence[str], batch: int = 256) -> Lesson:
        """Answer every text, in batches of like length."""
        ids = self.tokenizer(texts)
        to_teacher = torch.tensor(self.ids)
        features = np.zeros((*ids.shape, TEACHER_WIDTH), np.float16)
        order = (ids != 0).sum(1).argsort()
        for start in range(0, len(texts), batch):
            rows = order[start : start + batch]
            length = int((ids[rows] != 0).sum(1).max())
            chunk = ids[rows, :length]
            answer = self.network(to_teacher[chunk], attention_mask=(chunk != 0).long())
            features[rows.numpy(), :length] = answer.last_hidden_state.half().numpy()
        return Lesson(ids, features)

    def student(self) -> DistilledEncoder:
        """A student whose word-piece table starts as the teacher's principal components."""
        encoder = TextEncoder(TextEncoderConfig(vocabulary=len(self.pieces)))
        table = self.network.embeddings.word_embeddings.weight.detach()[self.ids]
        table = table - table.mean(0)
        _, _, axes = torch.linalg.svd(table, full_matrices=False)
        small = table @ axes[: encoder.config.table_width].T
        encoder.table.weight.data.copy_(small / small.std())
        return DistilledEncoder(encoder)


class DistilText(Pictureless):
    """The text encoder's programme for the loop."""

    batch = 256
    learning_rate = 1.5e-3

    def __init__(self, network: DistilledEncoder, lesson: Lesson) -> None:
        self.network = network
        self.lesson = lesson
        self._by_length = (lesson.ids != 0).sum(1).argsort(stable=True).numpy()

    def loss(self, network: Any, draw: Draw) -> Tensor:
        """Cosine distance of sentences and of tokens, and squared error of tokens."""
        # Texts of like length share a batch, so that little of it is padding.
        start = int(draw.numpy.integers(0, max(1, len(self._by_length) - self.batch + 1)))
        rows = self._by_length[start : start + self.batch]
        ids = self.lesson.ids[rows]
        length = int((ids != 0).sum(1).max())
        ids = ids[:, :length]
        wanted = torch.from_numpy(self.lesson.features[rows, :length]).float()
        device = next(network.parameters()).device
        ids, wanted = ids.to(device), wanted.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            tokens, pooled = network(ids)
        return answer_loss(tokens.float(), pooled.float(), wanted, ids != 0)


def answer_loss(tokens: Tensor, pooled: Tensor, wanted: Tensor, valid: Tensor) -> Tensor:
    """How far a student's answer (B, T, 384), (B, 384) is from the teacher's features."""
    mean = (wanted * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
    sentence = 1 - F.cosine_similarity(pooled, mean, dim=-1).mean()
    one = F.cosine_similarity(tokens, wanted, dim=-1)
    token = ((1 - one) * valid).sum() / valid.sum()
    error = ((tokens - wanted).square().mean(-1) * valid).sum() / valid.sum()
    return 2 * sentence + token + error
