"""Search for settings on the validation split: a space, trials in a journal, a winner saved as a preset.

The modules that run trials need Optuna, the extra ``tune``; importing one without it raises ``MissingExtra``.
"""
