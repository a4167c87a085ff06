"""Notebooks executed, figures and tables gathered, the paper typeset."""
