"""Captions of embeddings: published decoders read, their way of decoding, and the metrics of COCO's evaluation."""
