"""Sweeps: W&B's sweep files, run by W&B's agents or on this machine by Optuna."""
