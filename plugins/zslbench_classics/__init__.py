"""DAP, SAE, ALE, DeViSE and SJE: the classical methods on pooled features."""
