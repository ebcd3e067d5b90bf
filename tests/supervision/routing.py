"""Configs for tests, changed by the plain names of nested fields."""

from dataclasses import fields


def changed(config, **numbers):
    """Return the config with some numbers changed; a name is looked up in the config, `train` and `augmentation`."""
    places = {"": config, "train.": config.train, "train.augmentation.": config.train.augmentation}
    for prefix in ("postprocess", "tiling", "targets", "normalization"):
        if hasattr(config, prefix):
            places[f"{prefix}."] = getattr(config, prefix)
    found = {field.name: prefix for prefix, record in reversed(places.items()) for field in fields(record)}
    return config.replace(**{found[name] + name: value for name, value in numbers.items()})
