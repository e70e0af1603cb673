"""Clients that read nothing: they cost little memory, harm nobody, and are told everything in the end."""

import json

from tests.faults.product import Product

TABS = 20
ANSWERS = 20
PIECE = "长" * 1000  # 3 kB on the wire
PIECES = 35
MOST_MORE_BYTES = 30 * 1024 * 1024
SCRIPTED = """\
providers:
  scripted: {{kind: scripted, file: {file}}}
models:
  scripted: {{provider: scripted, model: scripted, max_output_tokens: 4000, context_tokens: 128000}}
routes:
  default: [scripted]
"""


async def test_clients_that_read_nothing_cost_little_memory_and_harm_nobody(product: Product) -> None:
    """TABS tabs do not read while ANSWERS answers of 100 kB come: 40 MB that have to stay somewhere."""
    script = [line for _ in range(PIECES) for line in (PIECE, {"wait_ms": 5})]
    (product.directory / "scripts.json").write_text(json.dumps([[*script, {"finish": "stop"}]]))
    product.configure(SCRIPTED.format(file=product.directory / "scripts.json"))
    web = product.web()
    reader = await product.client(web.address).open()
    await reader.ended(await reader.asked("First."))
    sleepers = [product.client(web.address, like=reader) for _ in range(TABS)]
    for each in sleepers:
        each.receive_buffer_bytes = 4096
        await each.open()
        each.read_no_more()
    before_bytes = web.resident_bytes

    most_bytes = before_bytes
    for number in range(ANSWERS):
        answer = await reader.ended(await reader.asked(f"Number {number}."))
        assert answer["text"] == PIECE * PIECES
        most_bytes = max(most_bytes, web.resident_bytes)

    assert (reader.closes, reader.shown.gaps, reader.shown.repeats, reader.shown.taken_back) == ([], 0, 0, [])
    assert most_bytes - before_bytes < MOST_MORE_BYTES
    for each in sleepers:
        each.read_again()
    for each in sleepers:
        await each.until(lambda each=each: each.shown.messages == reader.shown.messages)  # type: ignore[misc]
        assert each.shown.contradictions == []
    print(f"{TABS} tabs that read nothing cost {(most_bytes - before_bytes) / 2**20:.1f} MB")
