"""GeoCLIP's location encoder: the library's own vectors, from checked weights."""

import numpy as np
import pytest

from modtrans_core.embed.encoders import load_encoder
from modtrans_core.embed.encoders.weights import PACKAGED

PLACES = [(52.52, 13.405), (-33.87, 151.21), (0.0, 0.0), (90.0, 180.0), (-90.0, -180.0), (52.53, 13.405)]


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("geoclip")
    return load_encoder("geoclip:location/geoclip", "location", "cpu")


def test_locations_agree_with_geoclip(encoder):
    import geoclip
    import torch

    with torch.inference_mode():
        direct = geoclip.LocationEncoder()(torch.tensor(PLACES))
    ours = encoder.encode(PLACES)
    np.testing.assert_allclose(ours, direct, atol=1e-5)
    assert ours.shape == (6, 512) and np.ptp(np.linalg.norm(ours, axis=1)) > 0.1
    facts = encoder.facts()
    assert (facts["normalised"], facts["dimension"], facts["modality"]) == (False, 512, "location")
    assert facts["weights_sha256"] == PACKAGED["geoclip"].sha256 and facts["library"] == "geoclip"


def test_neighbours_are_nearer_than_strangers(encoder):
    unit = encoder.encode(PLACES)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[0, 5] > 0.9 > cosine[0, 1]


@pytest.mark.parametrize("place", [(90.1, 0), (-91, 0), (0, 180.5), (0, -181), (np.nan, 0), (0, np.inf)])
def test_a_place_that_is_not_on_earth_is_refused(encoder, place):
    with pytest.raises(ValueError, match=r"latitude not in \[-90, 90\] or longitude not in \[-180, 180\]"):
        encoder.prepare(place)


def test_a_missing_package_names_what_installs_it(monkeypatch):
    import modtrans_core.embed.encoders.weights as weights

    monkeypatch.setattr(weights, "find_spec", lambda module: None)
    with pytest.raises(ModuleNotFoundError, match=r'^geoclip is not installed; run: pip install -e ".*\[places\]"$'):
        load_encoder("geoclip:location/geoclip", "location")


def test_other_weights_are_not_known():
    with pytest.raises(ValueError, match="geoclip:gps/x: unknown model or weights; known: location/geoclip"):
        load_encoder("geoclip:gps/x", "location")
