"""What a run says while it goes on, attached to searches and trainings by callbacks: to Weights & Biases (`wandb`,
`artifacts`, `workspace`), to the run's metrics.csv (`training_metrics`), to a file that sweeps read (`metrics_file`)
and to the screen (`progress`).

`stage_log` is one stage's W&B run; `search_stage` and `retrain_stage` know what a search and a retraining have to show
there, `search_log` a search's curves, `training_figures` a training's drawings; `environment` what they ran on.
"""
