"""How a source becomes a pair set, shard by shard, in one process or many; see `modtrans_core.embed.pair_set`."""
