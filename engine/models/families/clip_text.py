"""Prompts of any length and weight through CLIP text encoders.

A prompt is cut into chunks of 75 tokens, each put between CLIP's begin and end marks and encoded
alone; the chunks' answers are joined, and shorter prompts of the same call get empty chunks. A
span's weight scales what the encoder says of its tokens, after which the chunk's mean is restored,
as AUTOMATIC1111's web UI does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from engine.errors import ModelUnavailable
from engine.models.files import check_vocabulary
from engine.requests import Span

Token: TypeAlias = tuple[int, float]  # id and weight
Chunk: TypeAlias = list[Token]

_SMALLEST_MEAN = 1e-4  # below it, restoring the mean would blow up noise


@dataclass(frozen=True, slots=True)
class ClipText:
    """One tokenizer and the encoder it belongs to."""

    tokenizer: Any  # CLIPTokenizer
    network: Any  # CLIPTextModel, with or without projection
    is_penultimate: bool  # read the last layer but one, without the final norm (SDXL)

    @property
    def chunk_tokens(self) -> int:
        """Tokens of a chunk without its marks: CLIP's 75."""
        return int(self.network.config.max_position_embeddings) - 2

    def chunks(self, prompt: Sequence[Span]) -> list[Chunk]:
        """Cut a prompt into chunks, at least one."""
        tokens = [(token, span.weight) for span in prompt for token in self._ids(span.text)]
        size = self.chunk_tokens
        return [tokens[i : i + size] for i in range(0, max(len(tokens), 1), size)]

    def encode(self, prompts: Sequence[Sequence[Chunk]]) -> tuple[Tensor, Tensor]:
        """Encode prompts of equally many chunks.

        Returns the tokens (B, chunks * 77, D) and the pooled state of the first chunk (B, P).
        """
        flat = [chunk for prompt in prompts for chunk in prompt]
        device = next(self.network.parameters()).device
        ids = torch.tensor([self._marked(chunk) for chunk in flat], device=device)
        answer = self.network(ids, output_hidden_states=True)
        hidden = answer.hidden_states[-2] if self.is_penultimate else answer.last_hidden_state
        pooled = answer.text_embeds if hasattr(answer, "text_embeds") else answer.pooler_output
        states = torch.stack(
            [self._weighted(row, chunk) for row, chunk in zip(hidden.float(), flat, strict=True)]
        )
        rows = len(prompts)
        return states.reshape(rows, -1, states.shape[-1]), pooled.float()[:: len(flat) // rows]

    def _ids(self, text: str) -> list[int]:
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        return [int(token) for token in ids]

    def _marked(self, chunk: Chunk) -> list[int]:
        ids = [self.tokenizer.bos_token_id, *(token for token, _ in chunk)]
        ids.append(self.tokenizer.eos_token_id)
        return ids + [self.tokenizer.pad_token_id] * (self.chunk_tokens + 2 - len(ids))

    def _weighted(self, states: Tensor, chunk: Chunk) -> Tensor:
        """Scale the rows of (77, D) by the weights of their tokens."""
        if all(weight == 1.0 for _, weight in chunk):
            return states
        padding = [1.0] * (len(states) - 1 - len(chunk))
        weights = torch.tensor([1.0, *(weight for _, weight in chunk), *padding])
        scaled = states * weights.to(states.device)[:, None]
        before, after = states.mean(), scaled.mean()
        # Differs from the web UI: each prompt alone, so that batch mates don't matter, and a mean
        # near zero is left as it is.
        if before.abs() < _SMALLEST_MEAN or after.abs() < _SMALLEST_MEAN:
            return scaled
        return scaled * (before / after)


def padded(prompts: Sequence[Sequence[Chunk]]) -> list[list[Chunk]]:
    """All prompts with as many chunks as the longest, by empty chunks at the end."""
    longest = max(len(prompt) for prompt in prompts)
    return [[*prompt, *([] for _ in range(longest - len(prompt)))] for prompt in prompts]


def load_tokenizer(name: str, folder: Path) -> Any:
    """Read a CLIP tokenizer's vocabulary.

    Raises:
        ModelUnavailable: the folder holds none.
    """
    check_vocabulary(name, folder)
    try:
        return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelUnavailable(name, f"{folder} holds no CLIP vocabulary: {error}") from error


def check_vocabulary_size(name: str, tokenizer: Any, network: Any) -> None:
    """See that every token of a vocabulary is known to the encoder.

    Raises:
        ModelUnavailable: it belongs to another encoder.
    """
    known = int(network.config.vocab_size)
    if len(tokenizer) > known:
        raise ModelUnavailable(
            name,
            f"its text encoder knows {known} tokens, the vocabulary has {len(tokenizer)}: "
            "name the folder of its own as tokenizer",
        )
