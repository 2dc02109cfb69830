"""Verdicts follow from rules and runs: quantities by worked examples, every verdict on runs that must give it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.common.errors import StudyError
from stages.common.params import Params, load_params
from stages.reporting.claims import claim_table, comparison_table, comparison_text, verdict_counts
from stages.reporting.faults import read_faults
from stages.reporting.judging import Evidence, NotRunError, found, judge
from stages.reporting.published import read_published
from stages.reporting.quantities import measure
from stages.reporting.rules import Claim, Comparison, read_claims
from stages.reporting.studies import Result
from tests.results import ROOT

PUBLISHED = ROOT / "data/published"
FASHION_EPOCHS = 30


def history(accuracies: list[float], losses: list[float] | None = None, seed: int = 1) -> pd.DataFrame:
    """One run's epochs."""
    epochs = range(1, len(accuracies) + 1)
    return pd.DataFrame({"seed": seed, "epoch": epochs, "accuracy": accuracies, "loss": losses or [1.0] * len(epochs)})


@pytest.mark.parametrize(
    ("quantity", "at", "accuracies", "losses", "value"),
    [
        ("final_accuracy", None, [0.1, 0.4, 0.3], None, 0.3),
        ("final_loss", None, [0.1, 0.1], [2.0, 1.5], 1.5),
        ("final_loss", None, [0.1, 0.1], [2.0, np.nan], np.inf),
        ("volatility", None, [0.0, 0.9, 0.5, 0.6, 0.5, 0.6], None, np.std([0.1, -0.1, 0.1], ddof=1)),
        ("plateau_epoch", None, [0.1, 0.4, 0.495, 0.505, 0.5], None, 3),
        ("plateau_epoch", None, [0.5, 0.5], None, 1),
        ("plateau_epoch", None, [0.5, 0.6, 0.5, 0.7], None, 4),
        ("overfitting", None, [0.1, 0.1, 0.1], [2.0, 1.0, 1.25], 0.25),
        ("accuracy_at", 2, [0.1, 0.4, 0.3], None, 0.4),
        ("epochs_to", 0.4, [0.1, 0.4, 0.3], None, 2),
        ("epochs_to", 0.5, [0.1, 0.4, 0.3], None, 4),
    ],
)
def test_quantities_are_what_they_are_said_to_be(quantity, at, accuracies, losses, value):
    assert measure(history(accuracies, losses), quantity, at) == {1: pytest.approx(value)}


def test_a_quantity_is_measured_seed_by_seed():
    runs = pd.concat([history([0.1, 0.3], seed=7), history([0.1, 0.2], seed=3)])
    assert measure(runs, "final_accuracy") == {3: 0.2, 7: 0.3}
    assert np.isnan(measure(history([0.1]), "accuracy_at", 2)[1])


def a_result(name: str, finals: dict[str, list[float]], split: str = "validation") -> Result:
    """A study whose runs all end on the given accuracies, a list of seeds each."""
    study = load_params(ROOT / "params.yaml").ablations["dropout"]
    seeds = list(range(1, 1 + len(next(iter(finals.values())))))
    variants = [study.variants[0].model_copy(update={"name": variant, "seeds": seeds}) for variant in finals]
    runs = [(variant, seed, final) for variant, row in finals.items() for seed, final in zip(seeds, row, strict=True)]
    epochs = pd.concat([history([0.1, final], seed=seed).assign(variant=variant) for variant, seed, final in runs])
    table = pd.DataFrame({"variant": [run[0] for run in runs], "seed": [run[1] for run in runs], "status": "ok"})
    study = study.model_copy(update={"seeds": seeds, "variants": variants})
    return Result(split, epochs, table, name, study)


def a_claim(name: str = "X1", **changes) -> Claim:
    """`a` ends higher than `b`: as run in the study `first`, and with F1 mended in the study `second`."""
    rule = {
        "comparisons": [{"quantity": "final_accuracy", "left": "a", "is": "above", "right": "b"}],
        "runs": [{"name": "as run", "study": "first"}, {"name": "F1 mended", "study": "second", "mends": ["F1"]}],
    }
    return Claim.model_validate({"id": name, "study": "torch/first", "claim": "a beats b", "rule": rule | changes})


HIGH, LOW, WILD = [0.80, 0.81, 0.82, 0.81, 0.80], [0.70, 0.71, 0.72, 0.71, 0.70], [0.4, 0.9, 0.6, 0.95, 0.5]


def verdict(first: dict[str, list[float]], second: dict[str, list[float]], split: str = "validation", **changes):
    """The judgement on `a_claim` by the two studies."""
    results = {"first": a_result("first", first, split), "second": a_result("second", second, split)}
    (judgement,) = judge([a_claim(**changes)], lambda claim: Evidence(results, None, {}))
    return judgement


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"a": HIGH, "b": LOW}, {"a": HIGH, "b": LOW}, "supported"),
        ({"a": LOW, "b": HIGH}, {"a": LOW, "b": HIGH}, "contradicted"),
        ({"a": WILD, "b": HIGH}, {"a": WILD, "b": LOW}, "undecided"),
        ({"a": HIGH, "b": LOW}, {"a": LOW, "b": HIGH}, "artefact"),
        ({"a": HIGH, "b": LOW}, {"a": WILD, "b": LOW}, "undecided"),
        ({"a": LOW, "b": HIGH}, {"a": HIGH, "b": LOW}, "supported"),
    ],
)
def test_a_verdict_follows_from_what_runs_as_they_were_and_mended_ones_say(first, second, expected):
    judgement = verdict(first, second)
    assert judgement.verdict == expected
    assert judgement.fault == ("F1 mended" if expected == "artefact" else "")


def test_what_is_said_to_be_possible_is_not_refuted_by_one_failure():
    runs = [{"name": "as run", "study": "first"}]
    assert verdict({"a": LOW, "b": HIGH}, {"a": LOW, "b": HIGH}, runs=runs, existence=True).verdict == "undecided"
    assert verdict({"a": HIGH, "b": LOW}, {"a": LOW, "b": HIGH}, runs=runs, existence=True).verdict == "supported"


def test_seeds_pair_under_the_published_protocol_alone():
    luck = [0.0, 0.15, -0.2, 0.1, -0.05]
    a, b = [0.7 + each for each in luck], [0.68 + each + step / 1000 for step, each in enumerate(luck)]
    assert verdict({"a": a, "b": b}, {"a": a, "b": b}, "test").verdict == "supported"
    assert verdict({"a": a, "b": b}, {"a": a, "b": b}, "validation").verdict == "undecided"


@pytest.mark.parametrize(
    ("comparison", "outcome"),
    [
        ({"left": "a", "is": "above", "right": "b", "margin": 0.05}, "holds"),
        ({"left": "a", "is": "above", "right": "b", "margin": 0.15}, "fails"),
        ({"left": "b", "is": "below", "right": "a"}, "holds"),
        ({"left": "a", "is": "near", "right": "b", "margin": 0.2}, "holds"),
        ({"left": "a", "is": "near", "right": "b", "margin": 0.05}, "fails"),
        ({"left": "a", "is": "near", "right": "b", "margin": 0.1}, "open"),
        ({"left": "a", "is": "below", "bound": 0.9}, "holds"),
        ({"left": "a", "is": "below", "bound": 0.5}, "fails"),
        ({"left": {"range": ["a", "b"]}, "is": "above", "bound": 0.05}, "holds"),
        ({"left": {"highest": ["a", "b"]}, "is": "near", "right": "a", "margin": 0.05}, "holds"),
        ({"left": {"lowest": ["a", "b"]}, "is": "near", "right": "b", "margin": 0.05}, "holds"),
        ({"left": {"mean": ["a", "b"]}, "is": "near", "bound": 0.758, "margin": 0.03}, "holds"),
    ],
)
def test_a_comparison_holds_fails_or_is_open(comparison, outcome):
    runs = [{"name": "as run", "study": "first"}]
    judgement = verdict(
        {"a": HIGH, "b": LOW},
        {"a": HIGH, "b": LOW},
        runs=runs,
        comparisons=[{"quantity": "final_accuracy"} | comparison],
    )
    (finding,) = judgement.findings["as run"]
    assert finding.outcome == outcome


def test_many_tests_of_one_family_make_each_verdict_harder():
    near = {"a": [0.80, 0.83, 0.82, 0.84, 0.81], "b": [0.78, 0.79, 0.77, 0.81, 0.79]}
    results = {"first": a_result("first", near), "wild": a_result("wild", {"a": WILD, "b": WILD})}
    evidence = Evidence(results, None, {})
    one = a_claim(runs=[{"name": "as run", "study": "first"}])
    others = [a_claim(f"X{place}", runs=[{"name": "as run", "study": "wild"}]) for place in range(2, 20)]
    elsewhere = [claim.model_copy(update={"study": "torch/wild"}) for claim in others]

    def verdict_of_first(claims: list[Claim], **family: object) -> str:
        return judge(claims, lambda claim: evidence, **family)[0].verdict

    assert verdict_of_first([one]) == "supported"
    assert verdict_of_first([one, *others]) == "undecided"
    assert verdict_of_first([one, *elsewhere]) == "supported"
    assert verdict_of_first([one, *elsewhere], family=lambda claim: "all") == "undecided"


def test_what_was_not_run_is_not_judged_and_takes_no_part_in_the_correction():
    results = {"first": a_result("first", {"a": HIGH, "b": LOW})}
    (judgement,) = judge([a_claim()], lambda claim: Evidence(results, None, {}))
    assert (judgement.verdict, judgement.missing) == ("not judged", "the study second is not in params.yaml")
    assert comparison_table([judgement]).empty
    assert claim_table([judgement])["evidence"].item() == judgement.missing
    assert verdict_counts([judgement])["not judged"] == 1


def test_one_seed_decides_nothing():
    assert verdict({"a": [0.9], "b": [0.1]}, {"a": [0.9], "b": [0.1]}).verdict == "undecided"


def test_comparisons_are_put_in_words():
    def words(**settings: object) -> str:
        return comparison_text(Comparison.model_validate({"quantity": "final_accuracy", **settings}))

    assert words(left="a", **{"is": "above"}, right="b", margin=0.05) == "final accuracy: a above b by more than 0.05"
    assert words(left={"highest": [0.1, 0.01]}, **{"is": "below"}, bound=0.2) == (
        "final accuracy: the highest of 0.1 and 0.01 below 0.2"
    )
    assert words(left="baseline/x_y", **{"is": "near"}, bound=0.5, margin=0.02) == (
        "final accuracy: baseline x y near 0.5, within 0.02"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": "speed"}, "speed is no quantity: choose from final_accuracy"),
        ({"bound": 0.5}, "give either right or bound"),
        ({"is": "about"}, "'above', 'below' or 'near'"),
        ({"left": {"best": ["a"]}}, "'highest', 'lowest'"),
        ({"is": "near"}, "near needs a margin"),
        ({"wrong": 1}, "rule.comparisons.0.wrong is no known key; known: quantity, at, left"),
    ],
)
def test_a_wrong_rule_is_named_in_one_line(tmp_path, change, words):
    claims = yaml.safe_load((PUBLISHED / "claims.yaml").read_text(encoding="utf-8"))
    claims[4]["rule"]["comparisons"][0] |= change
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(claims), encoding="utf-8")
    with pytest.raises(StudyError, match=r"claims\.yaml: N5: rule\.comparisons\.0") as caught:
        read_claims(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def results_of(params: Params, framework: str) -> dict[str, Result]:
    """Studies without runs: enough to look variants up."""
    studies = params.ablations if framework == "torch" else params.tune
    split = {"published": "test", "validation": "validation"}
    return {
        name: Result(split[study.variants[0].training.protocol], pd.DataFrame(), pd.DataFrame(), name, study)
        for name, study in studies.items()
    }


def test_every_rule_names_runs_that_params_has(params):
    claims = read_claims(PUBLISHED / "claims.yaml")
    assert [claim.id for claim in claims] == [f"N{n}" for n in range(1, 14)] + [f"T{n}" for n in range(1, 13)]
    for claim in claims:
        evidence = Evidence(results_of(params, claim.framework), None, {})
        for comparison in claim.rule.comparisons:
            for runs in claim.rule.runs:
                names = [name for side in (comparison.left, comparison.right) if side for name in side.variants]
                for name in names:
                    found(name, runs, evidence)  # raises where there is none
                seeds = {len(found(name, runs, evidence)[1].seeds) for name in names}
                assert not seeds or min(seeds) >= 3, claim.id


def test_runs_as_they_were_are_told_from_those_as_reported(params):
    evidence = Evidence(results_of(params, "torch"), None, {})
    (claim,) = (each for each in read_claims(PUBLISHED / "claims.yaml") if each.id == "T3")
    as_run, mended = claim.rule.runs
    assert found("1e-5", as_run, evidence)[1].name == "1e-5_as_run"
    assert found("0.0", as_run, evidence)[1].name == "0.0"
    assert found("1e-5", mended, evidence)[1].name == "1e-5"
    with pytest.raises(NotRunError, match="the study weight_decay has no variant 3"):
        found("3", mended, evidence)


def test_runs_that_mend_a_claim_mend_the_faults_that_touch_it():
    for claim in read_claims(PUBLISHED / "claims.yaml"):
        mended = {fault for runs in claim.rule.runs for fault in runs.mends}
        # F12 is mended by seeds, and the divergence that N11 would cure is not there once F1 is mended.
        assert mended or not set(claim.faults) - {"F12"} or claim.id == "N11", claim.id


# What may differ between the two variants of a pair, by fault. F2's rates take equal steps at batch size 128.
MAY_DIFFER = {
    "F1": {"objective"},
    "F2": {"reduction", "lr"},
    "F3": {"bias"},
    "F5": {"reshuffle"},
    "F7": {"momentum", "weight_decay"},
    "F8": {"lr"},
    "F9": {"hidden", "outputs"},
    "F11": {"batch_size"},
}


def test_a_pair_differs_in_its_fault_and_in_nothing_else(params):
    faults = read_faults(PUBLISHED / "faults.yaml")
    assert [fault.id for fault in faults] == [f"F{n}" for n in range(1, 14)]
    assert {fault.id for fault in faults if fault.effects} == set(MAY_DIFFER)
    for fault in faults:
        results = results_of(params, fault.touches[0].partition("/")[0])
        for effect in fault.effects:
            before, after = (variant(results, name) for name in (effect.published, effect.mended))
            differ = {key for key, value in before.items() if after[key] != value}
            assert differ, effect
            assert differ <= MAY_DIFFER[fault.id], effect


def variant(results: dict[str, Result], name: str) -> dict:
    """The settings of `study/variant`."""
    study, _, label = name.partition("/")
    (training,) = (each.training for each in results[study].study.variants if each.name == label)
    return training.model_dump()


def test_published_epochs_stand_for_seeds_where_a_rule_says_so(params):
    published = read_published(PUBLISHED / "published_history.csv", PUBLISHED / "published_runs.yaml", "numpy")
    evidence = Evidence(results_of(params, "numpy"), published, {})
    (claim,) = (each for each in read_claims(PUBLISHED / "claims.yaml") if each.id == "N6")
    (judgement,) = judge([claim], lambda each: evidence)
    (finding,) = judgement.findings["as published"]
    assert finding.estimate.seeds == FASHION_EPOCHS
    assert judgement.verdict == "supported"
    table = pd.read_csv(Path(PUBLISHED / "published_history.csv"), dtype={"variant": str})
    seconds = table[(table["study"] == "batch_size") & (table["epoch"] == FASHION_EPOCHS)].set_index("variant")[
        "seconds"
    ]
    slope = np.polyfit(np.log2(seconds.index.astype(float)), seconds / FASHION_EPOCHS, 1)[0]
    assert finding.estimate.value == pytest.approx(slope)
