"""`python -m sark_opa` is `sark-opa`."""

from sark_opa.cli import main

main()
