"""`modtrans convert`; what `modtrans embed` does is in the tests of its room."""

from modtrans_core import PairedEmbeddings


def test_convert(folder, modtrans):
    assert modtrans("convert", "pairs.npz", "shards", "--layout", "shards", "--shard-items", "30")[0] == 0
    assert PairedEmbeddings.load("shards").fingerprint() == PairedEmbeddings.load("pairs.npz").fingerprint()
    status, _, err = modtrans("convert", "pairs.npz", "shards")
    assert status == 1 and "shards: exists" in err
    status, _, err = modtrans("convert", "pairs.npz", "pairs.csv")
    assert status == 1 and "pairs.csv: a name that ends in .npz, .safetensors is needed" in err
    assert modtrans("convert", "shards", "shards", "--overwrite")[0] == 0  # clip-retrieval's in its place
    assert (folder / "shards" / "img_emb" / "img_emb_0.npy").exists() and not list(folder.glob(".*"))
