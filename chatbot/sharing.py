"""What the processes share about model services, in Redis: breakers, allowances, access tokens' ciphers.

It fulfils chatbot.providers.shared.Shared over State. Nothing here may be the only copy of a fact.
"""

from collections.abc import Callable, Sequence

from chatbot.providers.shared import FULL_S, LEASE_S, WINDOW_S, Ask
from chatbot.state import State

# KEYS[1] the value; ARGV: "1" and the old value or "0" and "", "1" and the new one or "0" and "", ttl_ms.
_SWAP = """
local found = redis.call('GET', KEYS[1])
if ARGV[1] == '1' then
  if found ~= ARGV[2] then return 0 end
elseif found then return 0 end
if ARGV[3] == '1' then redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5]) else redis.call('DEL', KEYS[1]) end
return 1
"""

# Each bucket is two keys: a hash of what was taken in each second ("r" and "t" before the second:
# requests, tokens), and a sorted set of the places held, by the instant they fall free. ARGV: now_ms,
# window_s, lease_ms, full_ms, holder, then for each bucket rpm, tpm, parallel (0: no limit), tokens.
# All is taken, or nothing: 0, or the milliseconds after which to try again.
_TAKE = """
local now, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local second = math.floor(now / 1000)
local longest = 0

local function wait(counts, room)
  local over = -room
  for _, count in pairs(counts) do over = over + count end
  if over <= 0 then return 0 end
  for each = second - window, second do
    over = over - (counts[each] or 0)
    if over <= 0 then return (each + window + 1) * 1000 - now end
  end
  return 0
end

for bucket = 1, #KEYS / 2 do
  local spent, held = KEYS[2 * bucket - 1], KEYS[2 * bucket]
  local first = 6 + (bucket - 1) * 4
  local rpm, tpm = tonumber(ARGV[first]), tonumber(ARGV[first + 1])
  local parallel, tokens = tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  if parallel > 0 then
    redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
    if redis.call('ZCARD', held) >= parallel then longest = math.max(longest, tonumber(ARGV[4])) end
  end
  if rpm > 0 or tpm > 0 then
    local counts, all = {r = {}, t = {}}, redis.call('HGETALL', spent)
    for at = 1, #all, 2 do
      local when = tonumber(string.sub(all[at], 2))
      if when < second - window then
        redis.call('HDEL', spent, all[at])
      else
        counts[string.sub(all[at], 1, 1)][when] = tonumber(all[at + 1])
      end
    end
    if rpm > 0 then longest = math.max(longest, wait(counts.r, rpm - 1)) end
    if tpm > 0 then longest = math.max(longest, wait(counts.t, tpm - math.min(tokens, tpm))) end
  end
end
if longest > 0 then return math.ceil(longest) end

for bucket = 1, #KEYS / 2 do
  local spent, held = KEYS[2 * bucket - 1], KEYS[2 * bucket]
  local first = 6 + (bucket - 1) * 4
  if tonumber(ARGV[first]) > 0 or tonumber(ARGV[first + 1]) > 0 then
    redis.call('HINCRBY', spent, 'r' .. second, 1)
    redis.call('HINCRBY', spent, 't' .. second, ARGV[first + 3])
    redis.call('EXPIRE', spent, window + 1)
  end
  if tonumber(ARGV[first + 2]) > 0 then
    redis.call('ZADD', held, now + tonumber(ARGV[3]), ARGV[5])
    redis.call('PEXPIRE', held, ARGV[3])
  end
end
return 0
"""

# The same two keys for each bucket; ARGV: holder, the second of the taking, tokens to add (or take back).
_SETTLE = """
for bucket = 1, #KEYS / 2 do
  redis.call('ZREM', KEYS[2 * bucket], ARGV[1])
  if ARGV[3] ~= '0' and redis.call('HEXISTS', KEYS[2 * bucket - 1], 't' .. ARGV[2]) == 1 then
    redis.call('HINCRBY', KEYS[2 * bucket - 1], 't' .. ARGV[2], ARGV[3])
  end
end
return 0
"""

# KEYS the places of one bucket each; ARGV: now_ms, lease_ms, then a holder for each key.
_RENEW = """
for at = 1, #KEYS do
  redis.call('ZADD', KEYS[at], 'XX', ARGV[1] + ARGV[2], ARGV[2 + at])
  redis.call('PEXPIRE', KEYS[at], ARGV[2])
end
return 0
"""


class SharedState:
    """One process's view; belongs to the event loop of its State."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def read(self, names: Sequence[str]) -> Sequence[bytes | None] | None:
        """Return the value of each name, None for one that is not there; None when Redis is away."""
        found: Sequence[bytes | None] | None = await self._state.call("MGET", *map(State.key, names))
        return found

    async def swap(self, name: str, old: bytes | None, new: bytes | None, *, ttl_s: float) -> bool | None:
        """Put `new` in the place of `old`; False when something else stands there."""
        done = await self._state.call(
            "EVAL", _SWAP, 1, State.key(name), *_maybe(old), *_maybe(new), int(ttl_s * 1000)
        )
        return None if done is None else bool(done)

    async def take(self, asks: Sequence[Ask], holder: str, *, now: float) -> float | None:
        """Take all that is asked for, or nothing: 0, or the seconds after which to try again."""
        wanted: list[int] = []
        for ask in asks:
            limits = ask.limits
            wanted += (limits.rpm or 0, limits.tpm or 0, limits.parallel or 0, ask.tokens)
        wait_ms = await self._state.call(
            "EVAL", _TAKE, 2 * len(asks), *_keys(asks),
            int(now * 1000), WINDOW_S, int(LEASE_S * 1000), int(FULL_S * 1000), holder, *wanted,
        )  # fmt: skip
        return None if wait_ms is None else wait_ms / 1000

    def settle(
        self, asks: Sequence[Ask], holder: str, *, at: float, tokens: int, then: Callable[[], None]
    ) -> None:
        """Give back the places, and correct the tokens that were taken at `at`."""
        self._state.post(
            "EVAL", _SETTLE, 2 * len(asks), *_keys(asks), holder, int(at), tokens, then=lambda _: then()
        )

    def renew(self, held: Sequence[tuple[str, str]], *, now: float) -> None:
        """Hold the places for another LEASE_S."""
        places = [_held_key(bucket) for bucket, _ in held]
        holders = [holder for _, holder in held]
        self._state.post("EVAL", _RENEW, len(held), *places, int(now * 1000), int(LEASE_S * 1000), *holders)


def _keys(asks: Sequence[Ask]) -> list[str]:
    return [key for ask in asks for key in (State.key(f"spent:{ask.bucket}"), _held_key(ask.bucket))]


def _held_key(bucket: str) -> str:
    return State.key(f"held:{bucket}")


def _maybe(value: bytes | None) -> tuple[str, bytes]:
    return ("0", b"") if value is None else ("1", value)
