"""What if: any twin with a measure and without, on the same seeds, side by side."""
