import itertools

import pytest
import torch

from engine.pipelines.stages.tiling import GRID, Grid, Mosaic, tiles_of


@pytest.mark.parametrize("height", [1, 255, 256, 257, 480, 481, 1000])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_tiles_of_the_same_picture_put_it_together_again(height, factor):
    torch.set_num_threads(1)
    pixels = torch.rand(3, height, 70, generator=torch.Generator().manual_seed(0))
    mosaic = Mosaic(height, 70, factor)
    for tile in tiles_of(height, 70):
        cut = tile.cut(pixels)
        mosaic.add(tile, cut.repeat_interleave(factor, 1).repeat_interleave(factor, 2))
    whole = pixels.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    torch.testing.assert_close(mosaic.picture(), whole)


def test_a_finer_grid_puts_the_picture_together_as_well():
    pixels = torch.rand(3, 300, 200, generator=torch.Generator().manual_seed(0))
    mosaic = Mosaic(300, 200, 1)
    tiles = tiles_of(300, 200, Grid(side=64, overlap=40, blind=16))
    for tile in tiles:
        mosaic.add(tile, tile.cut(pixels))
    assert len(tiles) == 77
    torch.testing.assert_close(mosaic.picture(), pixels)


@pytest.mark.parametrize("width", [257, 480, 481, 700, 2048])
def test_neighbours_share_enough_and_all_tiles_have_one_size(width):
    columns = [tile.columns for tile in tiles_of(10, width)]
    assert {c.stop - c.start for c in columns} == {GRID.side}
    assert columns[0].start == 0
    assert columns[-1].stop == width
    for left, right in itertools.pairwise(columns):
        assert left.stop - right.start >= GRID.overlap


def test_a_tile_counts_for_nothing_at_its_inner_edges_only():
    first, last = (tile.columns.weights(2) for tile in tiles_of(10, 400))
    assert float(first[0]) == float(last[-1]) == 1.0
    assert float(first[-2 * GRID.blind :].max()) < 1e-5
    assert float(last[: 2 * GRID.blind].max()) < 1e-5
