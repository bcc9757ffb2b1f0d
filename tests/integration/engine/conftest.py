"""A tiny checkpoint for engines that really draw."""

import pytest


@pytest.fixture(scope="session")
def tiny_catalogue(tmp_path_factory):
    """A catalogue file in which a tiny Stable Diffusion stands under the name of the pack."""
    from tests import tiny_checkpoints  # diffusers takes seconds to import

    folder = tmp_path_factory.mktemp("tiny")
    tiny_checkpoints.write_sd1(folder / "tiny")
    tiny_checkpoints.write_sd1(folder / "other", seed=1)
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(
        "[models.atelier-pack]\nfamily = 'sd1'\nwhere = 'tiny'\n"
        "[models.other]\nfamily = 'sd1'\nwhere = 'other'\n"
    )
    return catalogue
