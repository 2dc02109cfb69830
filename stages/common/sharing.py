"""No configuration is trained twice: a study names another that it shares with, and takes over what that has trained.

What is shared is found by comparing settings and seeds, never by name: a variant with exactly the settings of one of
the other study's, and no other seeds, is that variant.
"""

from collections.abc import Mapping

from stages.common.params import Study


def shared_variants(studies: Mapping[str, Study], name: str) -> dict[str, str]:
    """Those variants of study `name` that the study it `shares` with trains, with the names that they have there."""
    study = studies[name]
    if study.shares == name:
        return {}
    twins = {variant.name: studies[study.shares].twin(variant) for variant in study.variants}
    return {name: twin.name for name, twin in twins.items() if twin is not None}


def own_tasks(studies: Mapping[str, Study], name: str) -> list[tuple]:
    """Every variant of study `name` with every seed, less what is shared: what it trains itself."""
    shared = shared_variants(studies, name)
    return [(variant, seed) for variant, seed in studies[name].tasks if variant.name not in shared]
