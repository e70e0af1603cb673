"""The JSON of the chat socket, version 1: the only place that knows it.

`incoming` reads what a browser sends, `outgoing` writes what it is told.
"""
