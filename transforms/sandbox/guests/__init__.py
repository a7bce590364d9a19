"""Scripts that run inside the sandboxes, with the standard library alone and as few imports as can be.

`confine` limits the process before it reads anything; `candidate` runs a model's program; `checker` runs the tests
in another sandbox and asks the candidate over `wire`.
"""
