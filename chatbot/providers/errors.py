"""What can go wrong at a model service, grouped by what the caller can do about it.

ProviderError                  `.kind` names the case, `.retryable` says whether sending again may help
├── NotUsable                  ask a person: auth, permission, not_found, quota, not_configured, budget
├── BadRequest                 change the request: invalid_request, context_length, content_filter
├── TryLater                   the same request may pass later: auth_expired, rate_limit, overloaded,
│                              server, timeout, unavailable, limited, bad_response
└── IncompleteStream           the answer broke off: keep its text, never show it as a whole answer
RouteExhausted                 every target of a route has failed; `.last` is the last ProviderError
"""

from typing import ClassVar, Literal

ErrorKind = Literal[
    "auth", "auth_expired", "permission", "not_found", "invalid_request", "context_length",
    "rate_limit", "quota", "overloaded", "server", "timeout", "content_filter",
    "incomplete_stream", "unavailable", "bad_response", "limited", "not_configured", "budget",
]  # fmt: skip
