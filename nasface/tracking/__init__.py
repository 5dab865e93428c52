"""What a run says while it goes on, attached to searches and trainings by callbacks: to Weights & Biases (`wandb`,
`artifacts`, `workspace`), to a file that sweeps read (`metrics_file`) and to the screen (`progress`).

`stage_log` is one stage's W&B run, `search_stage` a search's; `search_log`, `retrain_log` and `training_figures` know
what a search, a retraining and a training have to show; `environment` what they ran on.
"""
