"""Speed: what the package does against a bound and against other packages, all in one run.

Times depend on the machine, so each is told as a ratio to another that was measured in the same rounds.
"""
