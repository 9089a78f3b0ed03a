"""A shop that keeps every basket: the Django project of django_workers.py."""
