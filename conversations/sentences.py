"""The calm sentences a visitor reads, in each language of the page."""

LOCALES = ("en", "zh-hans")

_SENTENCES = {
    "too_long": ("Please shorten your message.", "请精简后再发送。"),
    "bad_frame": ("That did not go through. Please reload the page.", "未能发送，请刷新页面。"),
    "conflict": ("That did not go through. Please reload the page.", "未能发送，请刷新页面。"),
    "rate_limited": ("That was quick. You can send again shortly.", "发送太快了，请稍后再试。"),
    "busy": (
        "We are still answering your other questions. This one follows in a moment.",
        "正在回答您的其他问题，稍后就到这一条。",
    ),
    "budget_exhausted": (
        "The assistant is taking a break today. Your question is saved, and our team will see it.",
        "助手今天先休息了。您的问题已保存，我们会看到。",
    ),
    "blocked_input": (
        "We can’t help with that here. You can put your question in other words.",
        "这个问题我们无法在这里处理。您可以换种说法再问。",
    ),
    "withdrawn": (
        "This answer was withdrawn because it did not meet our rules.",
        "该回答不符合我们的规定，已撤回。",
    ),
    "model_unavailable": (
        "We could not get an answer just now. Your question is saved.",
        "暂时无法回答。您的问题已保存。",
    ),
    "unauthorized": ("We started a new conversation for you.", "已为您开始新的对话。"),
    "not_found": ("This conversation is no longer here.", "该对话已不存在。"),
    "not_running": ("This answer has already ended.", "该回答已经结束。"),
    "internal": ("Something went wrong on our side. Please try again.", "我们这边出了点问题，请再试一次。"),
}


def sentence(key: str, locale: str) -> str:
    """Return the sentence for an error code, or for "withdrawn", in one of LOCALES."""
    english, chinese = _SENTENCES[key]
    return chinese if locale == "zh-hans" else english
