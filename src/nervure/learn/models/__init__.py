"""Deep models, one file a model; each has ``build(task, anchor)`` and gives a torch module."""
