"""The parts of a painted face: skin, hair, light, what is worn, scenery, film; `painter.py` joins them."""
