from typing import Any

from django.db import migrations

ROLES = ("author", "publisher", "reviewer", "agent", "administrator")


def make_groups(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for name in ROLES:
        groups.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0006_audit"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    # Backwards the groups stay: taking them away would forget who had which.
    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
