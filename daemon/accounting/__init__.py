"""What does it cost and who pays? Pricing, allowances, the ledger."""
