"""Precision, recall and average precision agree with cases worked out by hand."""

import numpy as np
import pytest

from egara.faces.accuracy import average_precision, match, measure


def box(left, score=None, side=10):
    return [left, 0, left + side, side] + ([] if score is None else [score])


def boxes(*rows):
    return np.array(rows, float).reshape(len(rows), -1)


def test_all_found_is_perfect():
    truth = boxes(box(0), box(100))
    result = measure([boxes(box(0, 0.9), box(100, 0.8))], [truth], min_pixels=1)
    assert (result.precision, result.recall, result.ap, result.recall_large) == (1, 1, 1, 1)


def test_two_boxes_on_one_face_count_once():
    found = boxes(box(0, 0.9), box(1, 0.8))
    assert match(found, boxes(box(0))).tolist() == [0, -1]
    result = measure([found], [boxes(box(0))])
    assert (result.precision, result.recall, result.ap) == (0.5, 1, 1)


def test_the_better_score_chooses_first():
    # Both overlap the face at 0; the first in score lies nearer to the face at 4, so both faces are found.
    found = boxes(box(3, 0.9), box(0, 0.5))
    assert match(found, boxes(box(0), box(4)), limit=0.4).tolist() == [1, 0]


def test_overlap_just_below_half_is_a_miss():
    assert match(boxes([0, 0, 10, 10, 1]), boxes([0, 0, 10, 20])).tolist() == [0]
    assert match(boxes([0, 0, 10, 9.9, 1]), boxes([0, 0, 10, 20])).tolist() == [-1]


def test_average_precision_of_a_curve_worked_by_hand():
    # Right, wrong, right of 3 faces: recall 1/3 at precision 1, recall 2/3 at precision 2/3, nothing after.
    right = np.array([True, False, True])
    assert average_precision(np.array([0.9, 0.8, 0.7]), right, 3) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(np.array([0.7, 0.9, 0.8]), right, 3) == pytest.approx((2 / 3 + 2 / 3) / 3)


def test_scores_are_pooled_over_pages():
    found = [boxes(box(50, 0.9)), boxes(box(0, 0.8))]
    result = measure(found, [boxes(box(0)), boxes(box(0))])
    assert (result.precision, result.recall, result.ap) == (0.5, 0.5, 0.25)


def test_small_faces_count_but_not_among_the_large():
    truth = boxes(box(0), box(100, side=100), box(300, side=100))
    result = measure([boxes(box(100, 0.9, side=100))], [truth], min_pixels=5000)
    assert (result.faces, result.large) == (3, 2)
    assert (result.recall, result.recall_large) == (pytest.approx(1 / 3), 0.5)


def test_nothing_found_and_nothing_there():
    none = np.zeros((0, 5))
    missed = measure([none], [boxes(box(0))])
    assert (missed.precision, missed.recall, missed.ap) == (1, 0, 0)
    blank = measure([none, none], [none[:, :4], none[:, :4]])
    assert blank.precision == 1
    assert np.isnan(blank.recall)
    assert np.isnan(blank.ap)
    assert measure([boxes(box(0, 0.5))], [none[:, :4]]).precision == 0
