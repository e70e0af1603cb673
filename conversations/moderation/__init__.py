"""Looking for words, patterns and personal data in texts, also while they stream. Pure.

`rules` are what is looked for, `ruleset` is many of them made ready, `gate` lets one stream through.
"""
