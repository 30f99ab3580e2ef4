"""What runs, tables and W&B say of themselves, grouped into settings."""
