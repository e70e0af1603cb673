from django.apps import AppConfig


class ChatbotConfig(AppConfig):
    name = "chatbot"

    def ready(self) -> None:
        """Register the system checks."""
        from chatbot import checks  # noqa: F401 - needs the settings, which are there only now
