"""Controllers: each looks at readings and says what to command; none knows the engine or the field behind."""
