"""Data sets into pair sets: sources, encoders, and the engine that runs them."""
