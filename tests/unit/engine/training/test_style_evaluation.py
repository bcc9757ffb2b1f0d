"""The measuring of restyles, on tiny pictures and networks."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from engine.models.families.style import StyleNetworks
from engine.networks.style import StyleConfig, StyleTransfer
from engine.networks.weights import save_network
from engine.training import evaluate_style as evaluation
from engine.training.pictures import Picture
from engine.training.style_pictures import split_paintings, unseen_paintings


@dataclass(frozen=True)
class Drawn:
    """As a picture of the training data: a file's name, and noise."""

    file: str

    def open(self):
        values = np.random.default_rng(len(self.file)).integers(0, 256, (64, 64, 3), np.uint8)
        return Image.fromarray(values)


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def judge():
    with torch.no_grad():
        return evaluation.Judge()


def test_what_is_measured_is_not_measured_again(tmp_path, judge):
    asked = []

    def method(content, style):
        asked.append(1)
        return (content + style) / 2

    task = evaluation.Task("mean", method, [(Drawn("a"), Drawn("bb")), (Drawn("a"), Drawn("ccc"))])
    evaluation.Measured(tmp_path / "pairs").measure(task, task.pairs[0], judge)
    again = evaluation.Measured(tmp_path / "pairs")
    for pair in task.pairs:
        again.measure(task, pair, judge)
    assert len(asked) == 2
    assert again.line(task).startswith("| mean | 2 of 2 | ")


def test_a_run_ends_with_its_time_and_the_next_goes_on(tmp_path):
    pairs = [(Drawn("a"), Drawn("bb")), (Drawn("a"), Drawn("ccc"))]
    task = evaluation.Task("none", lambda content, _: content, pairs)
    chosen = [(task, pair) for pair in pairs]
    measured = evaluation.Measured(tmp_path / "pairs")
    assert not evaluation.measure_in_time(measured, chosen, minutes=0)
    assert evaluation.measure_in_time(measured, chosen[:1], minutes=None)
    assert measured.line(task).startswith("| none | 1 of 2 | ")
    assert evaluation.measure_in_time(measured, chosen, minutes=None)
    assert measured.line(task).startswith("| none | 2 of 2 | ")


def test_an_untouched_content_is_no_distance_away_and_as_far_from_the_style_as_ever(judge):
    pair = (Drawn("a"), Drawn("bb"))
    content, gram, wasserstein, _ = evaluation.distances(lambda c, _: c, pair, judge)
    assert (content, gram, wasserstein) == (0, 1, 1)


def test_speeds_are_told_with_their_part_of_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "SIDE", 32)
    monkeypatch.setattr(evaluation, "SHARED_SIDES", (16, 32))
    monkeypatch.setattr(evaluation, "RUNS", 1)
    save_network(tmp_path, "style", StyleTransfer(StyleConfig(widths=(2, 2, 2, 2))))
    told = evaluation.speeds_of(StyleNetworks(torch.device("cpu"), folder=tmp_path), cores=2)
    assert "fast, the network, 512 px" in told
    assert told.count("| 16 px |") == 2
    assert "for a whole restyle of 512 x 512 px" in told
    assert "| iterations of 2 cores in a second |" in told
    assert torch.get_num_threads() == 1


def test_optimised_pairs_change_in_content_and_style_and_a_longer_run_has_those_of_a_shorter():
    pairs = [(Drawn(f"content {n}"), Drawn(f"style {m}")) for n in range(12) for m in range(29)]
    few, many = (evaluation.tasks_of(None, pairs, count, [100])[-1].pairs for count in (4, 12))
    assert few == many[:4]
    for side in (0, 1):
        assert len({pair[side].file for pair in many}) >= 10


def painting(file, colour):
    columns = {"artist": "Someone", "colour": colour}
    return Picture(None, file, columns)


def test_unseen_paintings_are_those_held_out_and_those_in_grey():
    pictures = [painting(f"aic/{n}.webp", "grey" if n == 3 else "colour") for n in range(20)]
    train, held_out = split_paintings(pictures)
    unseen = unseen_paintings(pictures)
    assert held_out
    assert unseen == [*held_out, pictures[3]]
    assert not {p.file for p in unseen} & {p.file for p in train}


def test_an_untrained_guide_has_the_sizes_of_the_trained_one_and_other_weights(tmp_path):
    config = StyleConfig(widths=(2, 2, 2, 2))
    torch.manual_seed(5)
    (tmp_path / "trained").mkdir()
    save_network(tmp_path / "trained", "style", StyleTransfer(config))
    trained = StyleNetworks(torch.device("cpu"), folder=tmp_path / "trained")
    guess = evaluation.untrained(trained, tmp_path / "guess")
    again = evaluation.untrained(trained, tmp_path / "again")
    assert guess.config == trained.config
    one, two, other = (
        torch.cat([part.flatten() for part in networks._transfer.state_dict().values()])
        for networks in (guess, again, trained)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
