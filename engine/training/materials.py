"""What the surface of a pictured thing is made of, read from the words of its row.

Materials are the third thing the style encoder learns to tell: stone, cloth and fur differ in
their grain whatever has their shape.
"""

import re

from engine.training.pictures import Picture

# The first material with a word in the row is its own: what a thing is covered with comes before
# what it is a thing of. Words of things stand in where their material is beyond doubt.
MATERIALS: dict[str, tuple[str, ...]] = {
    "peel": ("fruit",),
    "vegetable": ("vegetables", "vegetable"),
    "tempera": ("tempera", "distemper"),
    "oil paint": ("oil",),
    "ice": ("ice", "frozen", "icicle", "snow", "snowflake", "iceberg", "cocytus"),
    "crystal": ("crystal", "gem", "gemstone", "emerald", "glass", "crystalline"),
    "fire": ("lava", "fire", "flame", "volcanic", "gehenna", "volcano", "flames", "torch"),
    "marble": ("marble", "limestone"),
    "brick": ("brick", "bricks", "cobble", "pebble", "mosaic", "domino"),
    "wood": (
        "wood", "wooden", "tree", "trees", "bow", "longbow", "club", "quarterstaff", "staff",
        "barrel", "log", "evergreen", "deciduous", "doors", "door",
    ),
    "bone": ("bone", "bones", "skeleton", "skeletons", "skull", "catacombs", "crypt"),
    "slime": ("slime", "jelly", "ooze", "jiyva", "amorphous", "acidic"),
    "metal": (
        "metal", "iron", "steel", "gold", "golden", "silver", "bronze", "copper", "quicksilver",
        "mail", "plate", "shield", "buckler", "sword", "axe", "helmet", "weapon", "coin", "bars",
        "ring", "rings", "key", "wrench", "anchor", "chain", "nut",
    ),
    "stone": (
        "stone", "statue", "statues", "sandstone", "rock", "moai", "column", "gargoyle", "altars",
        "cobalt", "tomb", "relief", "labyrinth", "vault", "wall",
    ),
    "water": ("water", "shoals", "wave", "ocean", "droplet", "fountain"),
    "leaves": (
        "grass", "vines", "vine", "leaf", "leaves", "herb", "plant", "plants", "moss", "cactus",
        "clover", "lair", "broccoli", "fungi",
    ),
    "earth": ("dirt", "mud", "sand", "earth", "swamp", "bog", "desert", "floor"),
    "cloth": (
        "clothing", "cloth", "robe", "cloak", "banner", "banners", "shirt", "jeans", "dress",
        "kimono", "necktie", "scarf", "thread", "yarn", "socks", "coat",
    ),
    "leather": ("leather", "hide", "boot", "boots", "handbag", "football", "whip", "bullwhip"),
    "paper": ("paper", "book", "books", "scroll", "page", "newspaper", "envelope", "notebook"),
    "fur": ("bear", "wolf", "hound", "cat", "dog", "lion", "fox", "rabbit", "yak", "monkey"),
    "scales": ("snake", "dragon", "dragons", "draco", "naga", "lizard", "crocodile", "fish"),
}  # fmt: skip
_COLUMNS = ("name", "title", "caption", "category", "group", "medium")
_BY_WORD = {word: material for material, words in MATERIALS.items() for word in words}
_RANK = {material: rank for rank, material in enumerate(MATERIALS)}


def material_of(picture: Picture) -> str | None:
    """The material of what a picture shows, or None where its row does not tell."""
    told = " ".join(picture.columns.get(column) or "" for column in _COLUMNS)
    found = {_BY_WORD[word] for word in re.findall(r"[a-z]+", told.lower()) if word in _BY_WORD}
    return min(found, key=_RANK.__getitem__, default=None)
