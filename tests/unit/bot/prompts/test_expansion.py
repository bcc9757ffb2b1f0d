import collections

import pytest

from bot.prompts import PromptError, Wildcards, count_expansions, expand


def test_a_text_without_braces_is_left_as_it_is():
    text = r"a (fox:1.2) \{ \, __ --ar 3:2"
    assert expand(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {red, blue} fox", ["a red fox", "a blue fox"]),
        ("{a,b}{c,d}", ["ac", "ad", "bc", "bd"]),
        ("{a, {b, c} d}", ["a", "b d", "c d"]),
        (r"{a\, b, c}", ["a, b", "c"]),
        ("fox --ar {1:1, 3:2}", ["fox --ar 1:1", "fox --ar 3:2"]),
        ("fox {--tile, --draft --seed 1}", ["fox --tile", "fox --draft --seed 1"]),
        ("a {} fox", ["a  fox"]),
        ("{very,} big", ["very big", " big"]),
        ("{https://a.b/c,https://d.e/f} x", ["https://a.b/c x", "https://d.e/f x"]),
        (r"\{a, b\}", [r"\{a, b\}"]),
        ("{红，蓝、绿}鸟", ["红鸟", "蓝鸟", "绿鸟"]),
        (r"{红\，蓝, 绿\、白}", ["红，蓝", "绿、白"]),
        ("{https://a.b/c，https://d.e/f} 鸟", ["https://a.b/c 鸟", "https://d.e/f 鸟"]),
        ("红，蓝、绿", ["红，蓝、绿"]),
    ],
)
def test_each_option_of_a_permutation_makes_a_prompt(text, expected):
    assert expand(text) == expected
    assert count_expansions(text) == len(expected)


def test_too_many_prompts_are_counted_but_never_written_out():
    assert count_expansions("{a,b}" * 20) == 2**20
    assert count_expansions("{a,b}" * 2000) == 10**9
    with pytest.raises(PromptError, match="1048576 prompts, and 10 may"):
        expand("x " + "{a,b}" * 20)


def test_the_limit_itself_may_be_reached():
    assert len(expand("{a,b,c}", limit=3)) == 3
    with pytest.raises(PromptError):
        expand("{a,b,c}", limit=2)


def test_no_limit_lets_a_text_fill_the_memory():
    with pytest.raises(PromptError, match="and 1000 may"):
        expand("{a,b}" * 29, limit=2**29)


def test_a_dynamic_part_is_drawn_by_the_seed():
    drawn = {expand("a {red|green|blue} fox", seed=seed)[0] for seed in range(50)}
    assert drawn == {"a red fox", "a green fox", "a blue fox"}
    assert expand("{a|b|c|d}" * 9, seed=7) == expand("{a|b|c|d}" * 9, seed=7)


@pytest.mark.parametrize("words", ["a, b", "红，蓝、绿"])
def test_commas_within_a_dynamic_part_are_words(words):
    assert expand(f"{{{words}|{words}}}", seed=0) == [words]


def test_permutations_of_one_text_share_what_is_drawn():
    first, second = expand("{red|green|blue} {cat, dog}", seed=3)
    assert first.split()[0] == second.split()[0]


def test_likelier_options_are_drawn_more_often():
    drawn = collections.Counter(expand("{9::a|b}", seed=seed)[0] for seed in range(500))
    assert 400 < drawn["a"] < 490


@pytest.mark.parametrize(
    ("text", "count", "joiner"),
    [("{2$$a|b|c}", 2, ", "), ("{3$$a|b|c}", 3, ", "), ("{2$$ and $$a|b|c}", 2, " and ")],
)
def test_several_are_drawn_and_none_twice(text, count, joiner):
    for seed in range(20):
        words = expand(text, seed=seed)[0].split(joiner)
        assert len(set(words)) == count
        assert set(words) <= {"a", "b", "c"}


def test_a_range_of_how_many_is_drawn_from():
    counts = {len(expand("{1-3$$a|b|c}", seed=seed)[0].split(", ")) for seed in range(50)}
    assert counts == {1, 2, 3}


@pytest.mark.parametrize("text", ["{4$$a|b|c}", "{x$$a|b}", "{$$a|b}", "{3-1$$a|b|c}", "{0::a|b}"])
def test_a_dynamic_part_that_can_not_be_drawn_is_refused(text):
    with pytest.raises(PromptError):
        expand(text)


def test_a_wildcard_becomes_an_entry_of_its_list_and_entries_are_drawn_too():
    lists = Wildcards({"Animal": ["{red|blue} __kind__"], "kind": ["fox", "owl"]})
    drawn = {expand("a __animal__!", wildcards=lists, seed=seed)[0] for seed in range(50)}
    assert drawn == {"a red fox!", "a red owl!", "a blue fox!", "a blue owl!"}


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("一只__animals__在跑", "一只狐狸在跑"),
        ("__动物__，蓝天", "狐狸，蓝天"),
        ("__animals__が走る", "狐狸が走る"),
        ("snake__animals__case", "snake__animals__case"),
        ("__animals__s", "__animals__s"),
    ],
)
def test_a_wildcard_may_stand_right_beside_words_that_have_no_spaces(text, drawn):
    lists = Wildcards({"animals": ["狐狸"], "动物": ["狐狸"]})
    assert expand(text, wildcards=lists) == [drawn]


def test_a_star_means_all_lists_whose_names_fit():
    lists = Wildcards({"wear/hats": ["fez"], "Wear/shoes": ["clog"], "animals": ["fox"]})
    drawn = {expand("a __wear/*__", wildcards=lists, seed=seed)[0] for seed in range(30)}
    assert drawn == {"a fez", "a clog"}
    with pytest.raises(PromptError, match=r"no list called tools/\*"):
        expand("a __tools/*__", wildcards=lists)


def test_several_entries_of_one_list_are_drawn_and_none_twice():
    lists = Wildcards({"kind": ["fox", "owl", "cat"]})
    for seed in range(20):
        assert len(set(expand("{2$$__kind__}", wildcards=lists, seed=seed)[0].split(", "))) == 2


def test_an_unknown_list_names_the_nearest():
    with pytest.raises(PromptError, match="Did you mean __animals__") as caught:
        expand("a __animal__", wildcards=Wildcards({"animals": ["fox"]}))
    assert (caught.value.position, caught.value.length) == (2, len("__animal__"))


@pytest.mark.parametrize("entry", ["__a__", "{2$$__a__}", "{__a__, __a__}", "{open", "x" * 300_000])
def test_a_list_that_leads_to_itself_or_is_broken_or_too_long_is_refused(entry):
    with pytest.raises(PromptError) as caught:
        expand("__a__", wildcards=Wildcards({"a": [entry, entry]}), seed=1)
    assert caught.value.position == 0


def test_lists_are_read_an_entry_per_line():
    lists = Wildcards.from_texts({"kind": "fox\n\n# a remark\n  owl \n"})
    assert lists.entries("KIND") == ("fox", "owl")


@pytest.mark.parametrize(("text", "position"), [("a } b", 2), ("a {b {c}", 2), ("{" * 30, 23)])
def test_braces_that_do_not_match_are_refused_at_their_place(text, position):
    with pytest.raises(PromptError) as caught:
        expand(text)
    assert caught.value.position == position
