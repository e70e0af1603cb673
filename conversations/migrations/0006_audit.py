import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conversations", "0005_moderation"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("by", models.CharField(blank=True, max_length=150)),
                ("origin", models.CharField(max_length=64)),
                ("verb", models.CharField(max_length=24)),
                ("kind", models.CharField(max_length=24)),
                ("key", models.CharField(blank=True, max_length=64)),
                ("label", models.CharField(blank=True, max_length=200)),
                ("before", models.JSONField(blank=True, null=True)),
                ("after", models.JSONField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["by", "-id"], name="audit_by_person"),
                    models.Index(fields=["verb", "-id"], name="audit_by_verb"),
                ],
            },
        ),
    ]
