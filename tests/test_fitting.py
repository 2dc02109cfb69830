"""When a fit stops, and what it keeps, by rows of figures made up for the purpose: no network is needed."""

import math

import pytest

from stages.common.fitting import Fit, fit

GUESS = (10.0, 0.1)  # loss and accuracy of a run that is lost, among ten classes
FINE = (1.0, 0.5)


class Made:
    """Stands for a network and its training: its only parameter is the number of epochs it has been through."""

    def __init__(self, rows):
        self.rows = rows
        self.parameter = 0
        self.kept = []

    def epochs(self):
        for train_loss, loss, accuracy in self.rows:
            self.parameter += 1
            yield {"epoch": self.parameter, "train_loss": train_loss, "loss": loss, "accuracy": accuracy}

    def keep(self):
        self.kept.append(self.parameter)
        return self.parameter

    def put_back(self, parameter):
        self.parameter = parameter

    def fit(self, classes=10, **settings) -> Fit:
        return fit(self.epochs(), classes, keep=self.keep, put_back=self.put_back, **settings)


def of_losses(*losses):
    return Made([(loss, loss, 0.5) for loss in losses])


def of_pairs(*pairs):
    return Made([(1.0, loss, accuracy) for loss, accuracy in pairs])


@pytest.mark.parametrize(
    ("losses", "patience", "length", "best"),
    [
        ((3, 2, 2.5, 1, 1.5, 1.2, 0.5), 2, 6, 4),  # the seventh would have been better: nobody waits for it
        ((3, 2, 2.5, 1, 1.5, 1.2, 0.5), 3, 7, 7),
        ((3, 1, 2, 2), 5, 4, 2),  # the epochs run out before patience does
        ((1, 1, 1, 1), 2, 3, 1),  # as low isn't lower
        ((1, 2, 3), 1, 2, 1),
    ],
)
def test_patience_stops_and_puts_the_best_epoch_back(losses, patience, length, best):
    made = of_losses(*losses)
    result = made.fit(patience=patience)
    assert [row["loss"] for row in result.history] == list(losses[:length])
    assert (result.status, result.best_epoch, result.kept_epoch) == ("ok", best, best)
    assert made.parameter == best


def test_only_what_is_better_is_copied():
    made = of_losses(3, 2, 2.5, 1)
    made.fit(patience=9)
    assert made.kept == [1, 2, 4]


def test_without_patience_all_epochs_run_the_last_stays_and_nothing_is_copied():
    made = of_losses(3, 1, 2, 4, 5)
    result = made.fit()
    assert (result.status, result.best_epoch, result.kept_epoch, len(result.history)) == ("ok", 2, 5, 5)
    assert (made.parameter, made.kept) == (5, [])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["train_loss", "loss"])
def test_a_loss_that_is_not_finite_ends_the_run(where, loss):
    bad = (loss, 0.1, 0.5) if where == "train_loss" else (0.1, loss, 0.5)
    made = Made([(1.0, 1.0, 0.5), bad, (0.1, 0.1, 0.5)])
    result = made.fit()
    assert [row["epoch"] for row in result.history] == [1, 2]
    assert (result.status, result.best_epoch, result.kept_epoch) == ("diverged", 1, 2)
    assert made.parameter == 2


def test_a_diverged_run_with_patience_gets_its_best_epoch_back():
    made = of_losses(2, 1, 3, math.nan)
    result = made.fit(patience=5)
    assert (result.status, result.best_epoch, result.kept_epoch) == ("diverged", 2, 2)
    assert made.parameter == 2


def test_where_no_epoch_was_good_none_is_put_back():
    made = of_losses(math.nan, 1)
    result = made.fit(patience=5)
    assert (result.status, result.best_epoch, result.kept_epoch, len(result.history)) == ("diverged", 0, 1, 1)
    assert (made.parameter, made.kept) == (1, [])


@pytest.mark.parametrize(
    ("pairs", "classes", "length", "status"),
    [
        ([GUESS, GUESS, FINE], 10, 2, "diverged"),
        ([GUESS, FINE, GUESS, FINE], 10, 4, "ok"),  # one bad epoch may be recovered from
        ([GUESS, FINE, GUESS, GUESS, FINE], 10, 4, "diverged"),
        ([FINE, GUESS], 10, 2, "ok"),
        ([(9.22, 0.15)] * 3, 10, 2, "diverged"),  # 4 log(10) = 9.2103, 1.5 / 10 = 0.15
        ([(9.20, 0.15)] * 3, 10, 3, "ok"),  # guesses, but not with confidence
        ([(50.0, 0.16)] * 3, 10, 3, "ok"),  # confident, and better than a guess
        ([(2.78, 0.75)] * 3, 2, 2, "diverged"),  # 4 log(2) = 2.7726
        ([(2.77, 0.75)] * 3, 2, 3, "ok"),
    ],
)
def test_two_epochs_of_confident_guessing_end_the_run(pairs, classes, length, status):
    result = of_pairs(*pairs).fit(classes)
    assert (result.status, len(result.history)) == (status, length)


@pytest.mark.parametrize("patience", [None, 1])
def test_every_row_is_shown_once_the_last_one_too(patience):
    for losses in ((3, 2, 1), (1, 2, 3), (1, math.nan, 1)):
        shown = []
        result = of_losses(*losses).fit(patience=patience, on_epoch=shown.append)
        assert [id(row) for row in shown] == [id(row) for row in result.history]
