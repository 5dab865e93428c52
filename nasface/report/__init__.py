"""Tables, figures, drawings and logs."""
