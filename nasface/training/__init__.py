"""LightningModules, one per target representation, with their losses."""
