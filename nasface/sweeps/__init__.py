"""Sweeps: W&B's sweep files, run by W&B's agents (`agents`) or on this machine by Optuna (`local`), and NNI's trials
(`nni_trial`).

`sweep_file` reads and checks a file, `distributions` and `samplers` draw its values, `command_line` and `run_process`
run one of its commands, `sweep_folder` and `outcome` keep what came out.
"""
