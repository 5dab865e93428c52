"""What a run says while it goes on, attached to searches and trainings by callbacks: to its folder (`runs`,
`metrics_file`), to Weights & Biases (`wandb`, `artifacts`, `workspace`) and to the screen (`progress`).

`search_log` and `retrain_log` know what a search and a retraining have to say; `environment` what they ran on.
"""
