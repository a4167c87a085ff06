"""What the notebooks measure, one file a notebook."""
