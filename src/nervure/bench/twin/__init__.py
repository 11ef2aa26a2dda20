"""Proofs of twins and controllers: each plays scenarios and writes what came of them."""
