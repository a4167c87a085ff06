"""What is true of a translation, in numpy and scipy alone."""
