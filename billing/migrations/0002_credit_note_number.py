"""The number that the first credit note follows. Data only."""

from django.db import migrations


def add_number(apps, schema_editor):
    apps.get_model("billing", "CreditNoteNumber").objects.create()


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunPython(add_number, migrations.RunPython.noop)]
