"""From data to weights: data sets, splits, baselines, models, evaluation, packages."""
