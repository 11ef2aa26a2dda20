"""Detection's models, one file each."""
