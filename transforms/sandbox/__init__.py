"""Where programs of models run and can do no harm."""
