"""Readers: one file a layout; each turns files into rows of streams in true UTC."""
