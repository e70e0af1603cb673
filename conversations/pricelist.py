"""What models cost by their services' lists: fills the price table where it has nothing yet.

First what config.yaml says, then our own rows, then the package genai-prices. Only the command
`prices` imports this: the package's data takes 32 MB.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

from genai_prices import __version__
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices

from chatbot.config import LOCAL, Config
from conversations.models import NANOS, ExchangeRate, Price

CHECK = "A list price as it was known to us in November 2026: check it at the service's own page."
CNY_USD = 140_000_000  # 0.14: a round figure to begin with, to be replaced


@dataclass(frozen=True, slots=True)
class _Own:
    """Prices in yuan for a million tokens, as written; `cached` None is that of input."""

    host: str
    models: tuple[str, ...]
    input: str
    output: str
    cached: str | None = None


# Services that genai-prices lacks, or lists in a currency in which they do not bill. A model's name
# is matched by its beginning, the first row that fits counts. Where a price depends on the length of
# the prompt, it is that of short ones.
OWN = (
    _Own("dashscope.aliyuncs.com", ("qwen-plus",), "0.8", "2", "0.32"),
    _Own("dashscope.aliyuncs.com", ("qwen-flash",), "0.15", "1.5", "0.06"),
    _Own("dashscope.aliyuncs.com", ("qwen-turbo",), "0.3", "0.6", "0.12"),
    _Own("dashscope.aliyuncs.com", ("qwen-max",), "2.4", "9.6", "0.96"),
    _Own("open.bigmodel.cn", ("glm-4.6",), "2", "8", "0.4"),
    _Own("open.bigmodel.cn", ("glm-4.5-air",), "0.8", "2", "0.16"),
    _Own("open.bigmodel.cn", ("glm-4.5-flash", "glm-4-flash"), "0", "0"),
    _Own("api.moonshot.cn", ("kimi-k2-turbo",), "8", "58", "1"),
    _Own("api.moonshot.cn", ("kimi-k2",), "4", "16", "1"),
    _Own("xf-yun.com", ("4.0Ultra",), "70", "70"),
    _Own("xf-yun.com", ("generalv3.5", "generalv3", "max-32k", "pro-128k"), "30", "30"),
    _Own("xf-yun.com", ("lite",), "0", "0"),
    _Own("tencentcloudapi.com", ("hunyuan-turbos",), "0.8", "2"),
    _Own("tencentcloudapi.com", ("hunyuan-t1",), "1", "4"),
    _Own("tencentcloudapi.com", ("hunyuan-lite",), "0", "0"),
    _Own("tencentmaas.com", ("hunyuan-turbos",), "0.8", "2"),
    _Own("tencentmaas.com", ("hunyuan-t1",), "1", "4"),
    _Own("aip.baidubce.com", ("completions_pro",), "30", "90"),
    _Own("qianfan.baidubce.com", ("ernie-4.5-turbo",), "0.8", "3.2", "0.2"),
    _Own("qianfan.baidubce.com", ("ernie-speed", "ernie-lite"), "0", "0"),
)


def listed(config: Config, known: Iterable[tuple[str, str]]) -> list[Price]:
    """Return prices for those models of config.yaml that are not `known`.

    A model that nobody lists gets a row without a price, which says that it was looked for.
    """
    found = {key: None for key in known}
    rows = []
    for model in config.models.values():
        key = (model.provider, model.model)
        if key in found:
            continue
        found[key] = None
        address = config.providers[model.provider].settings.base_url
        said = model.prices
        if model.name == LOCAL:
            row = Price(currency="USD", source="own", input_nanos=0, output_nanos=0)
            row.note = "The built-in model runs on this machine."
        elif said is not None and said.input is not None and said.output is not None:
            row = Price(currency=said.currency.upper(), source="config", note="From config.yaml.")
            row.input_nanos, row.output_nanos = _nanos(said.input), _nanos(said.output)
            row.cached_input_nanos = None if said.cached_input is None else _nanos(said.cached_input)
        else:
            row = _own(address, model.model) or _from_package(address, model.model) or _none()
        row.provider, row.model = key
        rows.append(row)
    return rows


def rates(into: str, known: Iterable[str]) -> list[ExchangeRate]:
    """Return a first rate for yuan, in which the Chinese services bill, where there is none."""
    if into != "USD" or "CNY" in set(known):
        return []
    note = "A round figure to begin with: replace it by your bank's."
    return [ExchangeRate(currency="CNY", into="USD", rate_nanos=CNY_USD, from_at=_FIRST, note=note)]


_FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def _own(address: str, model: str) -> Price | None:
    host = urlsplit(address).hostname or ""
    for each in OWN:
        if host.endswith(each.host) and model.startswith(each.models):
            return Price(
                currency="CNY",
                input_nanos=_nanos(each.input),
                cached_input_nanos=None if each.cached is None else _nanos(each.cached),
                output_nanos=_nanos(each.output),
                source="own",
                note=CHECK,
            )
    return None


def _from_package(address: str, model: str) -> Price | None:
    """Return what the package lists for the service at this address; of tiers that of short prompts."""
    try:
        _provider, info = get_snapshot().find_provider_model(model, None, None, address)
    except LookupError:
        return None
    said = info.get_prices(datetime.now(UTC))

    def nanos(name: str) -> int | None:
        price = getattr(said, name, None)
        return None if price is None else _nanos(price.base if isinstance(price, TieredPrices) else price)

    read, written = nanos("input_mtok"), nanos("output_mtok")
    if read is None or written is None:
        return None
    return Price(
        currency="USD",
        input_nanos=read,
        cached_input_nanos=nanos("cache_read_mtok"),
        output_nanos=written,
        source="genai-prices",
        note=f"genai-prices {__version__}: {info.id}",
    )


def _none() -> Price:
    return Price(
        currency="USD", source="none", note="Nobody lists it: its cost is unknown until you write one."
    )


def _nanos(price: float | str | Decimal) -> int:
    """Return a price as it is written, in nano-units."""
    return round(Decimal(str(price)) * NANOS)
