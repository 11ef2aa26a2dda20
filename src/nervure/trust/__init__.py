"""Trust: who may be believed; models are signed, and unsigned ones are refused."""
