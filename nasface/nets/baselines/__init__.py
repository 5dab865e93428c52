"""The papers' networks, one file for each, which searched networks are compared with.

A file ends in functions that `nasface.nets.registry.register_network` decorates; files here are found by themselves.
Files without such a function hold what several networks share.
"""
