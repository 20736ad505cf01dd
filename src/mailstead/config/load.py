"""The one loader of settings: TOML file, then environment. Filled by the config room."""
