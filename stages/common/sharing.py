"""The baseline is trained once: a study that lists it again refers to the study `baseline` instead of retraining it.

What is shared is found by comparing settings, never by name: a variant with exactly the settings of one of the
baseline's variants is that variant.
"""

from collections.abc import Mapping

from stages.common.params import Study

BASELINE = "baseline"


def shared_variants(studies: Mapping[str, Study], name: str) -> dict[str, str]:
    """Those variants of study `name` that the study `baseline` trains, with the names that they have there."""
    if name == BASELINE or BASELINE not in studies:
        return {}
    there = studies[BASELINE].variants
    return {
        variant.name: other.name
        for variant in studies[name].variants
        for other in there
        if other.training == variant.training
    }
