"""Text encoder of the pack: prompts -> a sequence of token features and one pooled vector.

A small transformer (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762) over word pieces
(Devlin et al. 2018, https://arxiv.org/abs/1810.04805), distilled from a larger sentence encoder, so
that words it was never shown a picture of lie near words it was.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_WORD = re.compile(r"\w+|[^\w\s]")
_HAN = re.compile(r"[\u3400-\u9fff]")


class Tokenizer:
    """Lower-case word pieces; Chinese words of a lexicon are first put into English."""

    def __init__(
        self, vocabulary: Sequence[str], lexicon: Mapping[str, str], length: int = 32
    ) -> None:
        self._ids = {piece: index for index, piece in enumerate(vocabulary)}
        self._lexicon = dict(lexicon)
        self._longest = max((len(word) for word in lexicon), default=0)
        self.length = length

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The word pieces in the order of their ids."""
        return tuple(self._ids)

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Ids (B, T), padded; prompts longer than T pieces lose their end."""
        rows = torch.zeros(len(prompts), self.length, dtype=torch.long)
        for row, prompt in zip(rows, prompts, strict=True):
            pieces = [START, *self.pieces(prompt)[: self.length - 2], END]
            unknown = self._ids[UNKNOWN]
            row[: len(pieces)] = torch.tensor([self._ids.get(piece, unknown) for piece in pieces])
        return rows

    def pieces(self, prompt: str) -> list[str]:
        """Word pieces of a prompt; those that continue a word begin with ##."""
        text = unicodedata.normalize("NFKC", prompt).lower()
        if _HAN.search(text):
            text = self.translated(text)
        text = "".join(
            c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)
        )
        return [piece for word in _WORD.findall(text) for piece in self._split(word)]

    def translated(self, text: str) -> str:
        """Chinese words replaced by English ones, the longest match first; the rest is kept."""
        out: list[str] = []
        at = 0
        while at < len(text):
            for size in range(min(self._longest, len(text) - at), 0, -1):
                if (english := self._lexicon.get(text[at : at + size])) is not None:
                    out.append(f" {english} ")
                    at += size
                    break
            else:
                out.append(text[at])
                at += 1
        return "".join(out)

    def _split(self, word: str) -> list[str]:
        pieces: list[str] = []
        at = 0
        while at < len(word):
            for end in range(len(word), at, -1):
                piece = ("##" if at else "") + word[at:end]
                if piece in self._ids:
                    pieces.append(piece)
                    at = end
                    break
            else:
                return [UNKNOWN]
        return pieces


@dataclass(frozen=True, kw_only=True, slots=True)
class TextEncoderConfig:
    """Sizes of a `TextEncoder`; the word-piece table is kept narrow and widened by a matrix."""

    vocabulary: int
    table_width: int = 128
    width: int = 256
    layers: int = 2
    heads: int = 4
    length: int = 32


class Layer(nn.Module):
    """Pre-norm self-attention and feed-forward, over valid tokens only."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_feed = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Mix tokens (B, T, D); `valid` (B, T) is false for padding."""
        batch, length, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).view(batch, length, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, None])
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        fed: Tensor = self.feed(self.norm_feed(x))
        return x + fed


class TextEncoder(nn.Module):
    """Ids (B, T) -> token features (B, T, D), zero at padding, and their mean (B, D)."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.vocabulary, config.table_width)
        self.widen = nn.Linear(config.table_width, config.width)
        self.positions = nn.Parameter(torch.zeros(config.length, config.width))
        self.layers = nn.ModuleList(Layer(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Encode ids made by a `Tokenizer`."""
        valid = ids != 0
        x = self.widen(self.table(ids)) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, valid)
        tokens = self.norm(x) * valid[..., None]
        pooled = tokens.sum(1) / valid.sum(1, keepdim=True).clamp_min(1)
        return tokens, pooled

    def configuration(self) -> dict[str, Any]:
        """Plain values from which `TextEncoder(TextEncoderConfig(**values))` is built again."""
        return asdict(self.config)
