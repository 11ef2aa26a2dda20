"""Detection: real sets by protocol, metrics, and the plain detectors that a model has to beat."""
