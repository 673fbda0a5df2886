"""Where runs go. ``local`` computes them in this process; cluster engines will stand beside it."""
