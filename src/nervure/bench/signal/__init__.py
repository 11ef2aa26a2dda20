"""The evaluation of signal control: rules and learned controllers on the same twins and seeds."""
