"""Controllers: what decides on commands, one a file. Interlocks decide whether they are carried out."""
