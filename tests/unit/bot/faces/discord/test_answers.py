from bot.errors import NotFound
from bot.faces.discord.answers import explained
from bot.faces.discord.localisation import Words
from bot.prompts import PromptError, parse
from bot.wording import Said


def test_a_refusal_is_told_in_the_members_language():
    error = NotFound(Said("you keep no style called {name}", name="wave"))
    assert "you keep no style called wave" in explained(error, Words("en-GB"))
    assert "你没有名为 wave 的风格" in explained(error, Words("zh-CN"))


def test_a_prompts_mistake_is_told_in_the_members_language():
    try:
        parse("a fox --choas 3")
    except PromptError as error:
        told = explained(error, Words("zh-CN"))
    assert "没有 --choas 这个参数。是不是 --chaos？" in told
