"""Thumbnails of figures."""

import pytest
from PIL import Image

from analysis.plots.gallery import SIDE, thumbnail


def test_a_thumbnail_is_drawn_from_the_first_results_that_have_its_tables(tmp_path):
    without = tmp_path / "without"
    results = tmp_path / "results" / "notebooks" / "03_cosine_bound" / "tables"
    results.mkdir(parents=True)
    (results / "general.csv").write_text(
        'alpha,count,draws,"general, exact",complement\n0.0,60,100,0.6,0.7\n0.5,20,100,0.2,0.3\n'
    )
    small = thumbnail("general", [without, tmp_path / "results"], tmp_path)
    with Image.open(small) as picture:
        assert max(picture.size) == SIDE and len(set(picture.convert("L").getdata())) > 5
    assert [file.name for file in tmp_path.glob("*.png")] == ["general.png"]


def test_a_figure_without_tables_is_refused_by_its_notebook(tmp_path):
    with pytest.raises(
        ValueError, match=r"holds no tables/general.csv, of which notebook 03_cosine_bound makes general"
    ):
        thumbnail("general", [tmp_path], tmp_path)
    with pytest.raises(ValueError, match="results: none"):
        thumbnail("general", [], tmp_path)
