"""The settings by theme; `config.settings.Settings` is all of them."""
