from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Invoices, payments and authors' shares: above styles, so that it may ask about them."""

    name = "billing"
    verbose_name = "Billing"
