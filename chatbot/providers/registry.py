"""Which kinds of model services there are, and which compatible ones we know by name.

A kind is a wire with its adapter; a preset is a service that speaks one of them, with what has to be
said about it. Adding a compatible service is one row here, or a provider row in config.yaml.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chatbot.providers import (
    anthropic,
    cohere,
    completions,
    gemini,
    hunyuan,
    ollama,
    openai,
    pangu,
    qianfan,
    scripted,
    spark,
)
from chatbot.providers.base import ModelTraits, Provider, ServiceSettings, Timeouts
from chatbot.providers.tokens import ProcessTokens, TokenStore


@dataclass(frozen=True, slots=True)
class Kind:
    """`settings` and `traits` are what a provider row and a model row of this kind may say."""

    settings: type[Any]
    build: Callable[[str, Any, TokenStore], Provider]
    traits: type[Any] = ModelTraits


@dataclass(frozen=True, slots=True)
class Preset:
    """`settings` stand under what the provider row says itself."""

    kind: str
    settings: Mapping[str, Any]


KINDS: dict[str, Kind] = {
    "openai": Kind(openai.OpenAISettings, openai.build, openai.OpenAITraits),
    "completions": Kind(openai.OpenAISettings, completions.build),
    "anthropic": Kind(anthropic.AnthropicSettings, anthropic.build, anthropic.AnthropicTraits),
    "gemini": Kind(gemini.GeminiSettings, gemini.build, gemini.GeminiTraits),
    "cohere": Kind(cohere.CohereSettings, cohere.build, cohere.CohereTraits),
    "ollama": Kind(ollama.OllamaSettings, ollama.build, ollama.OllamaTraits),
    "ollama_generate": Kind(ollama.OllamaSettings, ollama.build_generate, ollama.OllamaTraits),
    "hunyuan": Kind(hunyuan.HunyuanSettings, hunyuan.build),
    "spark": Kind(spark.SparkSettings, spark.build, spark.SparkTraits),
    "spark_ws": Kind(spark.SparkSocketSettings, spark.build_socket, spark.SparkTraits),
    "pangu": Kind(pangu.PanguSettings, pangu.build),
    "qianfan": Kind(qianfan.QianfanSettings, qianfan.build, qianfan.QianfanTraits),
    "scripted": Kind(scripted.ScriptedSettings, scripted.build),
}

LOADS_FIRST = Timeouts(first_s=120)  # a server on this machine may have to load the model first

# Base URLs as the services publish them (November 2026); a row may say another, for another region.
PRESETS: dict[str, Preset] = {
    # base_url: https://NAME.openai.azure.com/openai/v1
    "azure": Preset(
        "openai", {"base_url": "", "auth_header": "api-key", "output_limit_field": "max_completion_tokens"}
    ),
    # Those with `json_mode` object know no schemas, or not for each of their models.
    "deepseek": Preset("openai", {"base_url": "https://api.deepseek.com/v1", "json_mode": "object"}),
    # Newer accounts have an address of their own: https://{WorkspaceId}.cn-beijing.maas.aliyuncs.com/…
    "qwen": Preset(
        "openai",
        {"base_url": "https://dashscope.aliyuncs.com/compatible-mode/v1", "json_mode": "object"},
    ),
    "glm": Preset("openai", {"base_url": "https://open.bigmodel.cn/api/paas/v4", "json_mode": "object"}),
    "kimi": Preset("openai", {"base_url": "https://api.moonshot.cn/v1", "json_mode": "object"}),
    # Refuses fields it does not know (422), stream_options among them, and sends usage unasked.
    "mistral": Preset("openai", {"base_url": "https://api.mistral.ai/v1", "include_usage": False}),
    "groq": Preset("openai", {"base_url": "https://api.groq.com/openai/v1"}),
    "openrouter": Preset("openai", {"base_url": "https://openrouter.ai/api/v1"}),
    # Tencent Hunyuan's compatible successor.
    "tokenhub": Preset("openai", {"base_url": "https://tokenhub.tencentmaas.com/v1"}),
    # Baidu Qianfan V2.
    "qianfan_v2": Preset("openai", {"base_url": "https://qianfan.baidubce.com/v2"}),
    "vllm": Preset("openai", {"base_url": "http://127.0.0.1:8000/v1", "timeout_s": LOADS_FIRST}),
    "llamacpp": Preset("openai", {"base_url": "http://127.0.0.1:8080/v1", "timeout_s": LOADS_FIRST}),
    "lmstudio": Preset("openai", {"base_url": "http://127.0.0.1:1234/v1", "timeout_s": LOADS_FIRST}),
}


def build(kind: str, name: str, settings: ServiceSettings, *, tokens: TokenStore | None = None) -> Provider:
    """Make the provider `name` of a kind in KINDS. Opens no connection yet. `tokens` keeps access tokens,
    without it this provider's own are kept in this process."""
    return KINDS[kind].build(name, settings, tokens or ProcessTokens())
