"""The README's findings are those of the numbers beside the paper, and other numbers would make other sentences."""

import json

import pytest

from analysis.paper.findings import README, TAKEN, findings, taken, with_findings


@pytest.fixture
def of():
    return json.loads(TAKEN.read_text())


def test_the_readme_says_what_the_numbers_say(of):
    readme = README.read_text()
    assert with_findings(readme, of) == readme, "run python -m analysis.paper.findings numbers.json"


def test_other_numbers_make_other_sentences(of):
    first, second = of["routes"].values()
    first["many"]["cosine"] = first["one"]["cosine"] + 0.1
    second["procrustes"]["centered_recall_at_10"] = 0.001
    of["trained"][0] = [0.0, 0.99]
    words = " ".join(findings(of).split())
    assert "One step beats many" not in words and "The best cosine is also the best ranking" in words
    assert "to .99 is observed" in words
    assert "`calibrated` has both" in " ".join(findings(of).split())
    of["calibrated"][list(of["routes"])[1]]["own_recall_at_10"] = 0.001
    assert "`calibrated` has not both" in " ".join(findings(of).split())


def test_what_is_taken_is_what_the_notebooks_wrote(of):
    rows = {
        name: {"cosine": 0.5, "cosine_sd": 0.01, "floor": 0.4, "centered_recall_at_10": 0.2, "skill": 1.0}
        for name in ("ridge", "procrustes", "ridge + best gamma F", "poster, 1 step", "poster, 50 steps")
    }
    numbers = {
        "03_cosine_bound": {
            "overstatement": {"d": [4, 512], "0.8": [0.2, 0.06]}, "limits": [0.1, 0.05, 0.2], "gamma": 1.0,
        },
        "04_translation": {
            "routes": {"a → b": rows, "b → a": rows}, "items": 9, "gallery": 3, "seeds": 2, "steps": 250,
            "certificates": [{"bound": 0.1, "observed_pairs": 0.3}],
        },
        "13_cosine_to_recall": {"enough_at_1": 0.001},
        "07_presets": {
            "routes": {
                route: {"calibrated, cosine": {"cosine": 0.6, "own_recall_at_10": 0.3, "skill": 1.0}}
                for route in ("a → b", "b → a")
            }
        },
    }  # fmt: skip
    found = taken(numbers)
    assert found["calibrated"]["b → a"] == {"cosine": 0.6, "own_recall_at_10": 0.3}
    assert found["overstated"] == {"gamma": 1.0, "uniform": 0.06, "limit": 0.05} and found["trained"] == [[0.1, 0.3]]
    assert found.keys() == of.keys() and "up to .060 too much" in " ".join(findings(found).split())
