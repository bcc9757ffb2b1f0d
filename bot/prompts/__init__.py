"""What members type: one grammar for flags, weights, permutations and dynamic prompts; pure.

    typed text --expand--> concrete texts --parse--> ParsedPrompt --format_prompt--> text

    prompt      = { image link } [ part { "::" [weight] part } ] { flag }
    part        = words with attention: (more) [less] (exactly:1.3)
    flag        = ("--" | long dash) name [value]
    permutation = "{" prompt { "," prompt } "}"              each makes a job of its own
    dynamic     = "{" [count "$$" [joiner "$$"]] [weight "::"] words { "|" ... } "}"   one is drawn
    wildcard    = "__" list "__"                             an entry of the list is drawn

A backslash before a special character makes it an ordinary one. Nothing but `PromptError` is ever
raised for a text, whatever the text.
"""

from bot.prompts.aspect import aspect_size
from bot.prompts.attention import MAX_LORA_WEIGHT
from bot.prompts.errors import PromptError
from bot.prompts.expansion import DEFAULT_LIMIT, HIGHEST_LIMIT, count_expansions, expand
from bot.prompts.flags import FLAGS, FlagKind, FlagSpec
from bot.prompts.formatter import format_prompt
from bot.prompts.lexical import clean
from bot.prompts.parsed import (
    Flags,
    LoraReference,
    ParsedPrompt,
    PromptPart,
    Span,
    StyleReference,
)
from bot.prompts.parser import MAX_STYLE_WEIGHT, parse, parse_each, without_flags
from bot.prompts.presets import NO_PRESET, StylePreset, load_presets, preset_named, with_look
from bot.prompts.wildcards import NONE, Wildcards

__all__ = [
    "DEFAULT_LIMIT",
    "FLAGS",
    "HIGHEST_LIMIT",
    "MAX_LORA_WEIGHT",
    "MAX_STYLE_WEIGHT",
    "NONE",
    "NO_PRESET",
    "FlagKind",
    "FlagSpec",
    "Flags",
    "LoraReference",
    "ParsedPrompt",
    "PromptError",
    "PromptPart",
    "Span",
    "StylePreset",
    "StyleReference",
    "Wildcards",
    "aspect_size",
    "clean",
    "count_expansions",
    "expand",
    "format_prompt",
    "load_presets",
    "parse",
    "parse_each",
    "preset_named",
    "with_look",
    "without_flags",
]
