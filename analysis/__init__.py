"""What can be believed about a translator: the law of the alignment, the bound, the decomposition, the limits."""
