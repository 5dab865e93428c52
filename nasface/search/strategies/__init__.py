"""One search strategy a file, found by its decorator: `make_strategy("samos", space)` of `nasface.search.registry`.

Simulated annealing (`samos`), evolution as in SPOS and regularised (`spos`, `evolution`), `nsga2`, `local` and `random`
search, and the samplers of Optuna (`optuna`) and tuners of NNI (`nni`).
"""
