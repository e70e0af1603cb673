"""What the product is compared with. Both relay one question to the upstream and keep nothing."""
